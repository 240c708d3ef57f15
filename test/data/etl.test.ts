import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogRow } from '../../src/data/catalog.js';
import { readCatalog } from '../../src/data/catalog-reader.js';
import { runEtl } from '../../src/data/etl.js';
import { type HndsrEvent, silent } from '../../src/events.js';
import { lowResolutionPath, openDataset, readTile, SPLITS } from '../../src/raster/dataset.js';
import { type ByteImage, decodeImage } from '../../src/raster/image.js';
import { resizeBicubic8 } from '../../src/raster/resample.js';
import { contents, newProject, picture, put, putPictures, sidecarText } from './images.js';

/** Blocks of one degree: 24 places are 24 blocks, and seed 7 has some in each split. */
const SETTINGS = ['data.split.block_degrees=1', 'data.split.validation=0.3', 'data.split.test=0.3'];
const NAMES = Array.from({ length: 24 }, (_, index) => `tile_${String(index).padStart(2, '0')}.png`);
const PLACES = NAMES.map((name, index) => [name, 10.5, index + 0.5] as const);

let cwd: string;
let input: string;
beforeEach(async () => {
  cwd = await newProject();
  input = join(cwd, 'data', 'raw');
  await mkdir(input, { recursive: true });
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

async function putGoodImages(): Promise<void> {
  await putPictures(input, NAMES);
  await put(input, 'tiles.csv', sidecarText(PLACES));
}

const etl = (...more: string[]) => runEtl({ cwd, overrides: [...SETTINGS, ...more], threads: 0 }, silent);

describe('hndsr etl builds a dataset', () => {
  it('whose tiles are the images, and whose LR is the antialiased bicubic of their HR', async () => {
    await putGoodImages();
    const result = await etl();
    const dataset = await openDataset(join(cwd, 'data', 'processed'));
    expect(dataset).toMatchObject({ fingerprint: result.fingerprint, scale: 4 });
    expect(dataset.tiles).toHaveLength(24);
    expect(result.counts.train + result.counts.validation + result.counts.test).toBe(24);
    for (const name of SPLITS) expect(dataset.split(name)).toHaveLength(result.counts[name]);
    const tile = dataset.tiles[5]!;
    expect(tile).toMatchObject({ id: 'tile_05', latitude: 10.5, longitude: 5.5, source: 'scene', width: 64 });
    expect(tile.path).toBe('tile_05.png');
    expect(tile.hr).toBe(`${tile.split}/HR/tile_05.png`);
    expect(lowResolutionPath(tile, 4)).toBe(`${tile.split}/LR_4x/tile_05.png`);
    const original = (await decodeImage(await readFile(join(input, 'tile_05.png')), {
      maxPixels: 1e6,
    })) as ByteImage;
    const { hr, lr } = await readTile(dataset, tile);
    expect(Buffer.from(hr.data).equals(Buffer.from(original.data))).toBe(true);
    expect(Buffer.from(lr.data).equals(Buffer.from(resizeBicubic8(original, 16, 16).data))).toBe(true);
  });

  it('with the bytes of a plain PNG, and a lossless PNG of anything else', async () => {
    await putGoodImages();
    await put(input, 'photo.jpg', await picture('photo', 70, 67).jpeg().toBuffer());
    await writeFile(join(input, 'tiles.csv'), sidecarText([...PLACES, ['photo.jpg', 0, 0]]));
    await etl();
    const dataset = await openDataset(join(cwd, 'data', 'processed'));
    const copied = dataset.tiles.find((tile) => tile.id === 'tile_00')!;
    expect(await readFile(join(dataset.folder, copied.hr))).toEqual(
      await readFile(join(input, 'tile_00.png')),
    );
    const photo = dataset.tiles.find((tile) => tile.id === 'photo.jpg')!;
    expect(photo).toMatchObject({ width: 68, height: 64 });
    const { data } = await sharp(join(input, 'photo.jpg'))
      .extract({ left: 0, top: 0, width: 68, height: 64 })
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(Buffer.from((await readTile(dataset, photo)).hr.data).equals(data)).toBe(true);
  });

  it('that is the same in every byte again, and in another folder with files made in another order', async () => {
    await putGoodImages();
    const first = await etl();
    const bytes = await contents(first.dataset);
    const second = await etl();
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(await contents(second.dataset)).toEqual(bytes);

    const elsewhere = await newProject();
    for (const name of NAMES.toReversed()) {
      await put(join(elsewhere, 'data', 'raw'), name, await readFile(join(input, name)));
    }
    await put(join(elsewhere, 'data', 'raw'), 'tiles.csv', sidecarText(PLACES.toReversed()));
    const third = await runEtl({ cwd: elsewhere, overrides: SETTINGS, threads: 0 }, silent);
    expect(third.fingerprint).toBe(first.fingerprint);
    expect(await contents(third.dataset)).toEqual(bytes);
    await rm(elsewhere, { recursive: true });
  });

  it('whose fingerprint changes with one pixel, and with the settings', async () => {
    await putGoodImages();
    const before = (await etl()).fingerprint;
    expect((await etl('data.scale=2')).fingerprint).not.toBe(before);
    await put(input, NAMES[3]!, await picture('another').png().toBuffer());
    expect((await etl()).fingerprint).not.toBe(before);
  });

  it('where images that come later move no old one', async () => {
    await putGoodImages();
    const splitOf = async () =>
      new Map((await openDataset((await etl()).dataset)).tiles.map((tile) => [tile.id, tile.split]));
    const before = await splitOf();
    await putPictures(input, ['another.png', 'sub/tile_00.png', 'zebra.png']);
    await writeFile(
      join(input, 'tiles.csv'),
      sidecarText([
        ['another.png', -40, 100],
        ['sub/tile_00.png', 3, 3],
        ['zebra.png', 10.2, 7.1],
        ...PLACES,
      ]),
    );
    const after = await splitOf();
    expect(after.size).toBe(27);
    for (const [id, split] of before) expect(after.get(id)).toBe(split);
    expect(after.get('zebra')).toBe(before.get('tile_07'));
  });

  it('by scene, from the path, where no coordinates are needed', async () => {
    const names = Array.from({ length: 12 }, (_, index) => [
      `s${index}_x0_y0.png`,
      `s${index}_x64_y0.png`,
    ]).flat();
    await putPictures(input, names);
    await etl('data.split.method=source', 'data.split.block_degrees=45');
    const { tiles } = await openDataset(join(cwd, 'data', 'processed'));
    expect(tiles).toHaveLength(24);
    const splits = new Map<string, Set<string>>();
    for (const { source, split } of tiles) splits.set(source, (splits.get(source) ?? new Set()).add(split));
    expect(splits.size).toBe(12);
    for (const found of splits.values()) expect(found.size).toBe(1);
  });
});

describe('images that cannot be used are skipped, counted and noted', () => {
  it('with a reason for each', async () => {
    await putGoodImages();
    const good = await picture('good').png().toBuffer();
    const frames = Buffer.concat(await Promise.all(['a', 'b'].map((name) => picture(name).raw().toBuffer())));
    await put(
      input,
      'bad/animation.gif',
      await sharp(frames, { raw: { width: 64, height: 128, channels: 3, pageHeight: 64 } })
        .gif()
        .toBuffer(),
    );
    await put(
      input,
      'bad/constant.png',
      await sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    );
    const corrupt = Buffer.from(good);
    corrupt[corrupt.length >> 1]! ^= 0xff;
    await put(input, 'bad/corrupt.png', corrupt);
    await put(input, 'bad/empty.png', '');
    await put(input, 'bad/huge.png', await picture('huge', 200, 101).png().toBuffer());
    await put(input, 'bad/small.png', await picture('small', 64, 63).png().toBuffer());
    await put(input, 'bad/text.png', 'this is no picture');
    await put(input, 'bad/truncated.png', good.subarray(0, good.length >> 1));
    await put(input, 'twin_of_tile_03.png', await readFile(join(input, 'tile_03.png')));
    await put(input, 'notes.txt', 'about the tiles');
    await put(input, '.hidden.png', 'not looked at');

    const result = await etl('data.max_pixels=20000');
    expect(result.rejects).toEqual({
      constant: 1,
      corrupt: 1,
      duplicate: 1,
      animated: 1,
      'not-an-image': 2,
      'too-many-pixels': 1,
      'too-small': 1,
      truncated: 1,
    });
    expect(result.passedOver).toEqual({ files: 1, links: 0 });
    const lines = (await readFile(join(result.dataset, 'rejects.jsonl'), 'utf8')).trim().split('\n');
    const noted = new Map(lines.map((line) => JSON.parse(line)).map((each) => [each.path, each]));
    expect(noted.size).toBe(9);
    expect(noted.get('bad/text.png')).toMatchObject({ reason: 'not-an-image', sha256: expect.any(String) });
    expect(noted.get('bad/small.png').detail).toBe(
      '64 x 63 pixels are less than the 64 x 64 of training.crop',
    );
    expect(noted.get('twin_of_tile_03.png')).toMatchObject({
      reason: 'duplicate',
      detail: 'it has the bytes of tile_03.png',
    });
    const { tiles } = await openDataset(result.dataset);
    expect(tiles.map((tile) => `${tile.id}.png`)).toEqual(NAMES);
    const written = Object.keys(await contents(result.dataset)).filter((path) => path.endsWith('.png'));
    expect(written).toHaveLength(48);
  });

  it('links that lead out of the folder are not followed', async () => {
    await putGoodImages();
    await put(cwd, 'outside/secret.png', await picture('secret').png().toBuffer());
    await symlink(join(cwd, 'outside', 'secret.png'), join(input, 'secret.png'));
    await symlink(join(cwd, 'outside'), join(input, 'folder'));
    await symlink(join(input, 'nowhere.png'), join(input, 'dangling.png'));
    expect(await etl()).toMatchObject({ passedOver: { links: 3 }, rejects: {} });
  });

  it('and the catalogue has a row for each image, used or not', async () => {
    await putGoodImages();
    await put(input, 'text.png', 'this is no picture');
    const { dataset } = await etl();
    const rows: CatalogRow[] = [];
    for await (const row of readCatalog(join(dataset, 'catalog.parquet'))) rows.push(row);
    expect(rows.map((row) => row.path)).toEqual(['text.png', ...NAMES].sort());
    const { data, info } = await picture(NAMES[2]!).raw().toBuffer({ resolveWithObject: true });
    const green = data.filter((_, index) => index % 3 === 1);
    const mean = green.reduce((sum, value) => sum + value, 0) / (info.width * info.height);
    expect(rows.find((row) => row.id === 'tile_02')).toMatchObject({
      width: 64,
      height: 64,
      bands: 3,
      source: 'scene',
      latitude: 10.5,
      longitude: 2.5,
      split: expect.stringMatching(/train|validation|test/),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      mean: [expect.any(Number), expect.closeTo(mean, 9), expect.any(Number)],
      dtype: 'uint8',
    });
    const rejected = rows.find((row) => row.id === 'text')!;
    expect(rejected.reject_reason).toBe('not-an-image');
    expect([rejected.split, rejected.width, rejected.mean]).toEqual([null, null, null]);
  });
});

describe('what stops it, with nothing written', () => {
  afterEach(async () => {
    const names = Object.keys(await contents(cwd));
    expect(names.filter((name) => /processed|\.tmp|previous/.test(name))).toEqual([]);
  });

  it('an input folder that is missing, or is a file', async () => {
    await rm(input, { recursive: true });
    await expect(etl()).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      message: `input folder ${input} was not found`,
      hint: expect.stringContaining('--input'),
    });
    await writeFile(input, 'a file');
    await expect(etl()).rejects.toMatchObject({ code: 'INPUT_MISSING', message: `${input} is not a folder` });
  });

  it('an empty input folder', async () => {
    await put(input, 'readme.md', 'no images here');
    await expect(etl()).rejects.toMatchObject({
      code: 'INPUT_EMPTY',
      message: `${input} holds no usable image (files of other kinds: 1)`,
    });
  });

  it('an input folder where every image is rejected', async () => {
    await put(input, 'a.png', 'text');
    await put(input, 'tiles.csv', sidecarText([['a.png', 1, 1]]));
    await expect(etl()).rejects.toMatchObject({
      code: 'INPUT_EMPTY',
      message: `${input} holds no usable image (1 rejected: 1 not-an-image)`,
    });
  });

  it('coordinates that are missing, for all images or some', async () => {
    await putPictures(input, NAMES);
    await expect(etl()).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: `${join(input, 'tiles.csv')} gives no coordinates for 24 of 24 images (first: tile_00.png), and data.split.method is spatial-block`,
      hint: expect.stringContaining('-S data.split.method=source'),
    });
    await put(input, 'tiles.csv', sidecarText(PLACES.slice(0, 22)));
    await expect(etl()).rejects.toThrow(/no coordinates for 2 of 24 images \(first: tile_22\.png\)/);
  });

  it('a split that is left without a tile', async () => {
    await putGoodImages();
    await expect(etl('data.split.validation=0')).rejects.toMatchObject({
      code: 'DATASET_INVALID',
      message: expect.stringMatching(
        /^the split leaves no tile for validation \(train \d+, validation 0, test \d+\)/,
      ),
      hint: expect.stringContaining('block_degrees'),
    });
  });

  it('an output folder that overlaps the input', async () => {
    await putGoodImages();
    for (const output of ['data/raw', 'data', 'data/raw/out']) {
      await expect(runEtl({ cwd, output, threads: 0 }, silent)).rejects.toMatchObject({ code: 'USAGE' });
    }
  });

  it('an interrupt between two images', async () => {
    await putGoodImages();
    let seen = 0;
    const emit = (event: HndsrEvent): void => {
      if (event.kind === 'progress') seen++;
    };
    const stopping = runEtl({ cwd, overrides: SETTINGS, threads: 0 }, { emit, interrupted: () => seen >= 5 });
    await expect(stopping).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    expect(seen).toBeLessThan(10);
  });

  it('an invalid source_pattern', async () => {
    await putGoodImages();
    await expect(etl('data.split.source_pattern="("')).rejects.toThrow(
      /`data\.split\.source_pattern`: Invalid regular expression/,
    );
  });
});

describe('an earlier dataset', () => {
  it('stays as it was when the next run fails', async () => {
    await putGoodImages();
    const { dataset } = await etl();
    const before = await contents(dataset);
    await rename(join(input, 'tiles.csv'), join(input, 'kept.csv'));
    await expect(etl()).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(
      runEtl({ cwd, overrides: SETTINGS, threads: 0 }, { emit: () => {}, interrupted: () => true }),
    ).rejects.toThrow();
    expect(await contents(dataset)).toEqual(before);
    await cp(join(input, 'kept.csv'), join(input, 'tiles.csv'));
    await rm(join(input, 'tile_09.png'));
    await etl();
    expect((await openDataset(dataset)).tiles).toHaveLength(23);
  });
});
