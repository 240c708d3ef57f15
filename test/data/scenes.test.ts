import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../dist/cli/main.js';
import { readImage } from '../../src/raster/image.js';
import { newProject, picture, put, putPictures, sidecarText } from './images.js';

const GEOTIFF = fileURLToPath(new URL('../../../shared/data/geotiff/', import.meta.url));
const NAMES = Array.from({ length: 24 }, (_, index) => `tile_${String(index).padStart(2, '0')}.png`);
const SPLIT = '-S data.split.block_degrees=1 -S data.split.validation=0.3 -S data.split.test=0.3'.split(' ');
const BLOCKS =
  '-S data.tile=128 -S data.split.block_pixels=256 -S data.split.validation=0.25 -S data.split.test=0.25'.split(
    ' ',
  );

let cwd: string;
let stdout: string;
let stderr: string;
beforeEach(async () => {
  cwd = await newProject();
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(cwd, { recursive: true, force: true });
});

async function putScenes(): Promise<void> {
  const scenes = join(cwd, 'scenes');
  await putPictures(scenes, NAMES);
  await put(scenes, 'tiles.csv', sidecarText(NAMES.map((name, index) => [name, 10.5, index + 0.5])));
}

const etl = (...words: string[]): Promise<number> =>
  main(['etl', '-C', cwd, '--json', '--input', 'scenes', ...words]);

describe('hndsr etl --strict', () => {
  it('writes the dataset, and ends with exit code 3 where an image was refused', async () => {
    await putScenes();
    expect(await etl('--strict', ...SPLIT)).toBe(0);
    await put(join(cwd, 'scenes'), 'broken.png', 'not a picture');
    expect(await etl('--strict', ...SPLIT)).toBe(3);
    expect(stderr).toContain('REJECTS_FOUND');
    expect(stderr).toMatch(/not-an-image/);
    const rejects = await readFile(join(cwd, 'data', 'processed', 'rejects.jsonl'), 'utf8');
    expect(JSON.parse(rejects)).toMatchObject({ path: 'broken.png', reason: 'not-an-image' });
  });
});

describe('hndsr etl --preview', () => {
  it('writes a sheet of each split that can be opened, and a map with every tile', async () => {
    await putScenes();
    expect(await etl('--preview', ...SPLIT)).toBe(0);
    const { counts } = JSON.parse(stdout) as { counts: Record<string, number> };
    const folder = join(cwd, 'data', 'processed', 'preview');
    expect((await readdir(folder)).sort()).toEqual(['map.svg', 'test.png', 'train.png', 'validation.png']);
    for (const split of ['train', 'validation', 'test']) {
      const sheet = await readImage(join(folder, `${split}.png`), { maxPixels: 1e8 });
      expect(sheet).toMatchObject({ bands: 3 });
    }
    const map = await readFile(join(folder, 'map.svg'), 'utf8');
    const fills = { train: '#56B4E9', validation: '#E69F00', test: '#D55E00' };
    for (const [split, fill] of Object.entries(fills)) {
      expect(map.split(`fill="${fill}" fill-opacity`)).toHaveLength(counts[split]! + 1);
      expect(map).toContain(`${split} (${counts[split]} tiles)`);
    }
  });
});

describe('hndsr data stats', () => {
  it('counts tiles by split, and gives sizes, ranges and refusals', async () => {
    await putScenes();
    await put(join(cwd, 'scenes'), 'grey.png', await picture('x').linear(0, 128).png().toBuffer());
    expect(await etl(...SPLIT)).toBe(0);
    const { counts, fingerprint } = JSON.parse(stdout);
    stdout = '';
    expect(await main(['data', 'stats', '-C', cwd, '--json'])).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      fingerprint,
      tiles: counts,
      rejects: { constant: 1 },
      width: { minimum: 64, maximum: 64 },
      bytes: { highResolution: expect.any(Number), lowResolution: expect.any(Number) },
    });
    stdout = '';
    expect(await main(['data', 'stats', '-C', cwd])).toBe(0);
    expect(stdout).toContain(fingerprint);
    expect(stdout).toMatch(/band 3, values/);
    expect(stdout).toMatch(/constant/);
  });

  it('says how to get a dataset where there is none', async () => {
    expect(await main(['data', 'stats', '-C', cwd])).toBe(1);
    expect(stderr).toContain('error DATASET_MISSING');
    expect(stderr).toContain('Build one with `hndsr etl`');
  });
});

describe.skipIf(!existsSync(GEOTIFF))("satellites' own files (skipped where ../shared is missing)", () => {
  const build = (...words: string[]): Promise<number> =>
    main(['etl', '-C', cwd, '--json', '--input', GEOTIFF, ...BLOCKS, ...words]);

  it('refuses a dataset of which one place is in two splits, and names the files', async () => {
    expect(await build()).toBe(3);
    expect(stderr).toContain('DATASET_LEAK');
    expect(stderr).toMatch(
      /L8-B4-Elkton-VA\.tiff \(\w+\) and L8-RGB-VA\.tiff \(\w+\): they overlap by 100 %/,
    );
    expect(existsSync(join(cwd, 'data', 'processed'))).toBe(false);
  });

  it('takes the bands that are asked for, and refuses what lacks them', async () => {
    expect(await build('-S', 'data.bands=[4, 3, 2]')).toBe(0);
    const { counts, rejects } = JSON.parse(stdout);
    expect(rejects['band-count']).toBe(8);
    const manifest = JSON.parse(await readFile(join(cwd, 'data', 'processed', 'manifest.json'), 'utf8'));
    expect(manifest.tiles).toHaveLength(counts.train + counts.validation + counts.test);
    stdout = '';
    expect(await main(['data', 'stats', '-C', cwd, '--json'])).toBe(0);
    const { gsd, bands } = JSON.parse(stdout);
    expect(bands).toHaveLength(3);
    // One is as it was flown, the other a copy at 5 m.
    expect(gsd).toMatchObject({ minimum: 1, maximum: 5 });
  });
});
