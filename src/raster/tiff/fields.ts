import type { Georeference } from '../carried.js';
import { PROVENANCE_KEY, provenanceText, softwareName } from '../provenance.js';
import { samplesOf } from '../samples.js';
import type { Layout } from '../scene-writer.js';
import { ascii, doubles, type Field, long, raw, short } from './directory-writer.js';
import type { Level } from './level.js';
import { PREDICTOR } from './predictor.js';

const DEFLATE = 8;
const MIN_IS_BLACK = 1;
const RGB = 2;
const MASK = 4;
const UNASSOCIATED_ALPHA = 2;
const SAMPLE_FORMATS = { uint: 1, int: 2, float: 3 } as const;

/** Bits of NewSubfileType. */
const SUBFILE = { overview: 1, mask: 4 } as const;

/** The tags that every resolution has, but for where its tiles are. */
export function imageFields(level: Level, layout: Layout, isMain: boolean): Field[] {
  const { dtype, bands, alpha, carried } = layout;
  const channels = bands + (alpha ? 1 : 0);
  const kind = dtype.replace(/\d+$/, '') as keyof typeof SAMPLE_FORMATS;
  const isRgb = carried.isRgb;
  const extra = new Array<number>(channels - (isRgb ? 3 : 1)).fill(0);
  if (alpha) extra[extra.length - 1] = UNASSOCIATED_ALPHA;
  return [
    ...sizeFields(level, isMain ? 0 : SUBFILE.overview),
    short(258, ...new Array<number>(channels).fill(samplesOf(dtype, 0).BYTES_PER_ELEMENT * 8)),
    short(262, isRgb ? RGB : MIN_IS_BLACK),
    short(277, channels),
    short(317, kind === 'float' ? PREDICTOR.floating : PREDICTOR.horizontal),
    ...(extra.length > 0 ? [short(338, ...extra)] : []),
    short(339, ...new Array<number>(channels).fill(SAMPLE_FORMATS[kind])),
    ...(carried.noData === undefined ? [] : [ascii(42_113, carried.noData)]),
  ];
}

export function maskFields(level: Level, isMain: boolean): Field[] {
  return [
    ...sizeFields(level, SUBFILE.mask | (isMain ? 0 : SUBFILE.overview)),
    short(258, 1),
    short(262, MASK),
    short(277, 1),
    short(339, SAMPLE_FORMATS.uint),
  ];
}

function sizeFields({ width, height, tile }: Level, kind: number): Field[] {
  return [
    long(254, kind),
    long(256, width),
    long(257, height),
    short(259, DEFLATE),
    short(284, 1),
    short(322, tile),
    short(323, tile),
  ];
}

/** What is said of the image as a whole. */
export function mainFields({ carried, provenance }: Layout): Field[] {
  const { icc, geo, texts } = carried;
  const metadata = metadataXml({ carried, ...(provenance !== undefined && { provenance }) });
  return [
    ...Object.entries(texts).map(([tag, text]) => ascii(Number(tag), text)),
    ...(provenance === undefined ? [] : [ascii(305, softwareName(provenance))]),
    ...(icc === undefined ? [] : [raw(34_675, icc)]),
    ...(geo === undefined ? [] : geoFields(geo)),
    ...(metadata === undefined ? [] : [ascii(42_112, metadata)]),
  ];
}

/** GDAL's XML of facts about the image and its bands. */
function metadataXml({ carried, provenance }: Pick<Layout, 'carried' | 'provenance'>): string | undefined {
  const items = carried.metadata.filter(
    ({ name, domain }) => !(name === PROVENANCE_KEY && domain === undefined),
  );
  const lines = items.map(({ name, band, role, domain, xml }) => {
    const attributes = [
      `name="${name}"`,
      ...(band === undefined ? [] : [`sample="${band - 1}"`]),
      ...(role === undefined ? [] : [`role="${role}"`]),
      ...(domain === undefined ? [] : [`domain="${domain}"`]),
    ];
    return `  <Item ${attributes.join(' ')}>${xml}</Item>`;
  });
  if (provenance !== undefined) {
    lines.push(`  <Item name="${PROVENANCE_KEY}">${provenanceText(provenance)}</Item>`);
  }
  return lines.length === 0 ? undefined : `<GDALMetadata>\n${lines.join('\n')}\n</GDALMetadata>\n`;
}

const RASTER_TYPE_KEY = 1025;
const PIXEL_IS_POINT = 2;

function geoFields({ transform, tiePoints, keys }: Georeference): Field[] {
  // Where the keys say that a point is a pixel's centre, the first pixel's is half a pixel from the corner.
  const half = rasterType(keys) === PIXEL_IS_POINT ? 0.5 : 0;
  return [
    ...(transform === undefined ? [] : transformFields(transform, half)),
    ...(tiePoints === undefined
      ? []
      : [
          doubles(
            33_922,
            tiePoints.flatMap(([i, j, ...rest]) => [i - half, j - half, ...rest]),
          ),
        ]),
    short(34_735, ...keys.directory),
    ...(keys.doubles.length === 0 ? [] : [doubles(34_736, keys.doubles)]),
    ...(keys.ascii === '' ? [] : [ascii(34_737, keys.ascii)]),
  ];
}

function rasterType({ directory }: Georeference['keys']): number | undefined {
  for (let at = 4; at + 3 < directory.length; at += 4) {
    if (directory[at] === RASTER_TYPE_KEY && directory[at + 1] === 0) return directory[at + 3];
  }
  return undefined;
}

function transformFields([a, b, c, d, e, f]: NonNullable<Georeference['transform']>, half: number): Field[] {
  const [x, y] = [a + half * (b + c), d + half * (e + f)];
  if (c === 0 && e === 0 && b > 0 && f < 0)
    return [doubles(33_550, [b, -f, 0]), doubles(33_922, [0, 0, 0, x, y, 0])];
  return [doubles(34_264, [b, c, 0, x, e, f, 0, y, 0, 0, 0, 0, 0, 0, 0, 1])];
}
