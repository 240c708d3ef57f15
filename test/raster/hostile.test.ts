import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HndsrError } from '../../src/errors.js';
import { long, short } from '../../src/raster/tiff/directory-writer.js';
import { openUnitScene } from '../../src/raster/unit-scene.js';
import { ascii, geoTags, putTags, putTiff, waves } from './generated.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-hostile-'));
});
afterAll(() => rm(folder, { recursive: true }));

const LIMITS = { maxPixels: 1e6, maxScenePixels: 1e7 };
const bytes = (width: number, height: number, bands: number): Uint8Array =>
  Uint8Array.from(waves(width, height, bands), (value) => Math.round(value * 255));

/** What `hndsr upscale` would say of a file; nothing for one that can be read. */
async function refusalOf(path: string, limits = LIMITS): Promise<string | undefined> {
  try {
    const scene = await openUnitScene(path, { limits });
    try {
      const { width, height } = scene.header;
      await scene.read({ x: 0, y: 0, width: Math.min(width, 64), height: Math.min(height, 64) });
    } finally {
      await scene.close();
    }
    return undefined;
  } catch (error) {
    if (error instanceof HndsrError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe('a file that promises more than it may', () => {
  it.each(['png', 'webp', 'jpeg'] as const)('is refused by its header: %s', async (format) => {
    const path = join(folder, `large.${format}`);
    await sharp({ create: { width: 3000, height: 2000, channels: 3, background: '#345' } })
      .toFormat(format)
      .toFile(path);
    expect(await refusalOf(path)).toMatch(
      /^INPUT_INVALID: .*3000 x 2000 pixels, more than the limit of 1000000/,
    );
  });

  it.each([
    ['sides', [long(256, 2 ** 31), long(257, 2 ** 31)], /pixels, more than the limit/],
    ['bands', [short(277, 60_000)], /60000 bands/],
    ['a block', [long(256, 4000), long(257, 1000), long(278, 1000)], /blocks are .*more than the limit/],
  ])('is refused by its header: a TIFF of too large %s', async (name, tags, message) => {
    // Of two entries for a tag the second one counts.
    const path = await putTags(join(folder, `${name}.tif`), bytes(8, 8, 1), 8, 8, tags);
    expect(await refusalOf(path)).toMatch(message);
  });

  it('is refused before its blocks take memory: 256 MB of zeros in 256 kB', async () => {
    const bomb = deflateSync(Buffer.alloc(2 ** 28));
    const path = await putTags(join(folder, 'bomb.tif'), new Uint8Array(bomb), bomb.length, 1, [
      ...[long(256, 64), long(257, 64), short(259, 8), long(278, 64)],
    ]);
    const before = process.memoryUsage().rss;
    expect(await refusalOf(path)).toMatch(/^INPUT_INVALID/);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  });

  it('with directories that lead in a circle is refused', async () => {
    const path = join(folder, 'circle.tif');
    const file = Buffer.from(
      new Uint8Array(
        await import('node:fs/promises').then(async ({ readFile }) =>
          readFile(await putTags(path, bytes(8, 8, 1), 8, 8, [])),
        ),
      ),
    );
    const entries = file.readUInt16LE(8);
    file.writeUInt32LE(8, 10 + entries * 12);
    await writeFile(path, file);
    expect(await refusalOf(path)).toMatch(/circle/);
  });
});

/** Files of every kind, small, whose headers and blocks are worth damaging. */
async function samples(): Promise<[string, Buffer][]> {
  const { readFile } = await import('node:fs/promises');
  const raw = { raw: { width: 48, height: 40, channels: 3 } } as const;
  const picture = sharp(bytes(48, 40, 3), raw);
  const tiff = (options: Parameters<typeof picture.tiff>[0]): Promise<Buffer> =>
    picture.clone().tiff(options).toBuffer();
  const tile = { tile: true, tileWidth: 16, tileHeight: 16 };
  const plain = await putTags(join(folder, 'plain.tif'), bytes(48, 40, 3), 48, 40, [
    ...geoTags({ scale: [1, 1, 0], tie: [0, 0, 0, 1, 2, 0] }),
    ...[ascii(42_113, '0'), ascii(42_112, '<GDALMetadata><Item name="A">b</Item></GDALMetadata>')],
  ]);
  const big = await putTiff(join(folder, 'big-endian.tif'), Float32Array.from(waves(48, 40, 2)), 48, 40);
  return [
    ['plain.tif', await readFile(plain)],
    ['big-endian.tif', await readFile(big)],
    ['deflate.tif', await tiff({ compression: 'deflate', predictor: 'horizontal', ...tile })],
    ['lzw.tif', await tiff({ compression: 'lzw', predictor: 'horizontal' })],
    ['packbits.tif', await tiff({ compression: 'packbits' })],
    ['jpeg.tif', await tiff({ compression: 'jpeg', ...tile })],
    ['bigtiff.tif', await tiff({ compression: 'deflate', bigtiff: true, pyramid: true, ...tile })],
    ['picture.png', await picture.clone().png().toBuffer()],
    ['picture.jpg', await picture.clone().jpeg().toBuffer()],
    ['picture.webp', await picture.clone().webp().toBuffer()],
  ];
}

const PROGRAM = `
import { readFileSync, writeFileSync } from 'node:fs';
const [dist, folder, count] = process.argv.slice(2);
const { openUnitScene } = await import(dist + '/raster/unit-scene.js');
const { Random } = await import(dist + '/random.js');
const { HndsrError } = await import(dist + '/errors.js');
const files = JSON.parse(readFileSync(folder + '/samples.json', 'utf8')).map(([name, text]) => [name, Buffer.from(text, 'base64')]);
const random = Random.from(11, 'hostile');
const outcome = { read: 0, refused: 0 };
for (let index = 0; index < Number(count); index++) {
  const [name, original] = files[index % files.length];
  let bytes = Buffer.from(original);
  const edits = 1 + random.integer(4);
  for (let edit = 0; edit < edits; edit++) {
    // Three in four in the first bytes, where most of a header is.
    const at = random.integer(random.integer(4) === 0 ? bytes.length : Math.min(bytes.length, 400));
    const extreme = [0, 255, 127, 128, random.integer(256)];
    const width = [1, 1, 2, 4][random.integer(4)];
    for (let byte = at; byte < Math.min(at + width, bytes.length); byte++) bytes[byte] = extreme[random.integer(5)];
  }
  if (random.integer(6) === 0) bytes = bytes.subarray(0, random.integer(bytes.length));
  const path = folder + '/mutated-' + name;
  writeFileSync(path, bytes);
  const began = performance.now();
  try {
    const scene = await openUnitScene(path, { limits: { maxPixels: 1e6, maxScenePixels: 1e7 } });
    try {
      const { width, height } = scene.header;
      await scene.read({ x: 0, y: 0, width: Math.min(width, 64), height: Math.min(height, 64) });
      outcome.read++;
    } finally {
      await scene.close();
    }
  } catch (error) {
    const isClear = error instanceof HndsrError && error.code === 'INPUT_INVALID' && error.message.startsWith(path + ': ') && error.hint;
    if (!isClear) throw new Error(name + ' number ' + index + ' is refused by an error without a code: ' + error.stack);
    outcome.refused++;
  }
}
const peak = /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
console.log(JSON.stringify({ ...outcome, peak: Number(peak) / 1024 }));
`;

describe('2,000 damaged files', () => {
  it('are read, or refused with a code and the reason, in bounded memory', async () => {
    const all = (await samples()).map(([name, file]) => [name, file.toString('base64')]);
    await writeFile(join(folder, 'samples.json'), JSON.stringify(all));
    await writeFile(join(folder, 'fuzz.mjs'), PROGRAM);
    const dist = new URL('../../dist', import.meta.url).href;
    const text = execFileSync(process.execPath, [join(folder, 'fuzz.mjs'), dist, folder, '2000'], {
      encoding: 'utf8',
      timeout: 240_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { read, refused, peak } = JSON.parse(text.trim().split('\n').at(-1)!);
    expect(read + refused).toBe(2000);
    // Damage that hits pixels alone can be read.
    expect(read).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(600);
    expect(peak).toBeLessThan(700);
  }, 300_000);
});
