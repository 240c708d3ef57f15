import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFile } from '../../src/raster/unit-scene.js';
import { bicubicJob, LIMITS } from './bicubic-job.js';
import { corners, gdalinfo, gdalTranslate, HAS_GDAL } from './gdal.js';
import { ascii, geoTags, putTags, waves } from './generated.js';

const REAL = fileURLToPath(new URL('../../../shared/data/geotiff/', import.meta.url));
const [SCALE, TIE] = [
  [10.1, 9.7, 0],
  [0, 0, 0, 399_960.25, 4_700_040.75, 0],
];
const [COS, SIN] = [Math.cos(0.3) * 10, Math.sin(0.3) * 10];
const PLACES: [string, ReturnType<typeof geoTags>][] = [
  ['north up', geoTags({ scale: SCALE, tie: TIE })],
  ['by points in the middle of pixels', geoTags({ point: true, scale: SCALE, tie: TIE })],
  [
    'tied elsewhere than at the corner',
    geoTags({ scale: SCALE, tie: [20, 11, 0, 399_960.25, 4_700_040.75, 0] }),
  ],
  ['in degrees', geoTags({ degrees: true, scale: [1e-4, 1e-4, 0], tie: [0, 0, 0, 14.25, 42.125, 0] })],
  ['that is turned', geoTags({ matrix: [COS, SIN, 0, 4e5, SIN, -COS, 0, 4.7e6, 0, 0, 0, 0, 0, 0, 0, 1] })],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-geo-'));
});
afterAll(() => rm(folder, { recursive: true }));

const bytes = (bands: number): Uint8Array =>
  Uint8Array.from(waves(45, 31, bands), (value) => Math.round(value * 255));
const size = { width: 113, height: 78 };

/** To 1e-9, of the unit or of the number, whichever is more: a double has no more at these sizes. */
function expectNear(found: readonly number[], wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length);
  for (const [index, value] of wanted.entries())
    expect(Math.abs(found[index]! - value)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(value)));
}

async function extentOf(path: string): Promise<readonly number[]> {
  const scene = await openFile(path, LIMITS);
  const { width, height } = scene.header;
  const { extent } = scene.locate({ x: 0, y: 0, width, height })!;
  await scene.close();
  return extent;
}

describe('the corners of an output', { timeout: 180_000 }, () => {
  it.each(PLACES)('are those of its source, %s', async (name, tags) => {
    const input = await putTags(join(folder, `${name}.tif`), bytes(3), 45, 31, tags);
    const output = join(folder, `${name}-x.tif`);
    await bicubicJob(input, output, { format: 'tiff', size });
    expectNear(await extentOf(output), await extentOf(input));
    if (!HAS_GDAL) return;
    const [before, after] = [await gdalinfo(input), await gdalinfo(output)];
    expect(after.size).toEqual([113, 78]);
    expectNear(corners(after).flat(), corners(before).flat());
    expect(after.coordinateSystem).toEqual(before.coordinateSystem);
    expect(after.metadata['']!.AREA_OR_POINT).toBe(before.metadata['']!.AREA_OR_POINT);
  });

  it.skipIf(!HAS_GDAL)(
    'are told by ground control points where its source has those (needs gdal-bin)',
    async () => {
      const plain = await putTags(join(folder, 'plain.tif'), bytes(1), 45, 31, []);
      const input = join(folder, 'gcp.tif');
      const points = [
        [0, 0, 14.5, 42.5],
        [45, 0, 14.6, 42.51],
        [0, 31, 14.49, 42.4],
        [20.5, 11.25, 14.54, 42.46],
      ];
      const words = points.flatMap((point) => ['-gcp', ...point.map(String)]);
      await gdalTranslate(plain, input, '-a_srs', 'EPSG:4326', ...words);
      const output = join(folder, 'gcp-x.tif');
      await bicubicJob(input, output, { format: 'tiff', size });
      const { gcps } = await gdalinfo(output);
      const found = gcps!.gcpList.flatMap(({ pixel, line, x, y }) => [pixel, line, x, y]);
      expectNear(
        found,
        points.flatMap(([i, j, x, y]) => [(i! * 113) / 45, (j! * 78) / 31, x!, y!]),
      );
    },
  );
});

describe('what a GeoTIFF says of itself', () => {
  // GDAL undoes entities twice, and writes them so.
  const xml = `<GDALMetadata>
    <Item name="PLATFORM">S2 &amp;amp; L8</Item>
    <Item name="STATISTICS_MAXIMUM" sample="0">250</Item>
    <Item name="DESCRIPTION" sample="0" role="description">blue</Item>
    <Item name="DESCRIPTION" sample="3" role="description">near infrared</Item>
    <Item name="SCALE" sample="3" role="scale">0.0001</Item>
  </GDALMetadata>`;

  it('is kept: no-data value, names of bands, metadata; but for statistics', async () => {
    const tags = [...geoTags({ scale: SCALE, tie: TIE }), ascii(42_113, '0'), ascii(42_112, xml)];
    const input = await putTags(join(folder, 'said.tif'), bytes(4), 45, 31, tags);
    const output = join(folder, 'said-x.tif');
    await bicubicJob(input, output, { format: 'tiff', size, bands: [4, 1] });
    const scene = await openFile(output, LIMITS);
    expect(scene.header).toMatchObject({ bands: 2, noData: 0, crs: 'EPSG:32633' });
    expect((await scene.carried()).metadata).toEqual([
      { name: 'PLATFORM', xml: 'S2 &amp;amp; L8' },
      { name: 'DESCRIPTION', band: 2, role: 'description', xml: 'blue' },
      { name: 'DESCRIPTION', band: 1, role: 'description', xml: 'near infrared' },
      { name: 'SCALE', band: 1, role: 'scale', xml: '0.0001' },
    ]);
    await scene.close();
    if (!HAS_GDAL) return;
    const info = await gdalinfo(output);
    expect(info.metadata['']!.PLATFORM).toBe('S2 & L8');
    expect(info.bands.map(({ description, noDataValue }) => [description, noDataValue])).toEqual([
      ['near infrared', 0],
      ['blue', 0],
    ]);
  });
});

describe.skipIf(!existsSync(REAL))(
  'real files (skipped where ../shared is missing)',
  { timeout: 180_000 },
  () => {
    it.each(['RGB.byte.tif', 'L8-B8-Elkton-VA.tiff', 'm_3607717_sw_18_1_20160620_subset.tif'])(
      '%s: corners, coordinates, bands and no-data value stay as they are',
      async (name) => {
        const input = REAL + name;
        const scene = await openFile(input, LIMITS);
        const target = {
          width: Math.round(scene.header.width * 1.3),
          height: Math.round(scene.header.height * 1.3),
        };
        const output = join(folder, basename(name));
        await bicubicJob(input, output, { format: 'tiff', size: target, strip: 200 });
        const made = await openFile(output, LIMITS);
        const { bands, dtype, crs, noData } = scene.header;
        expect(made.header).toMatchObject({
          ...target,
          bands,
          dtype,
          crs,
          ...(noData !== undefined && { noData }),
        });
        expectNear(await extentOf(output), await extentOf(input));
        await Promise.all([scene.close(), made.close()]);
        if (!HAS_GDAL) return;
        const [before, after] = [await gdalinfo(input), await gdalinfo(output)];
        expectNear(corners(after).flat(), corners(before).flat());
        expect(after.coordinateSystem).toEqual(before.coordinateSystem);
      },
    );
  },
);
