import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSidecar } from '../../src/inputs/sidecar.js';
import { contents } from './images.js';

const script = fileURLToPath(new URL('../../scripts/blue-marble.js', import.meta.url));
const globe = join(
  dirname(createRequire(import.meta.url).resolve('three-globe')),
  '../example/img/earth-blue-marble.jpg',
);
const run = (folder: string) => promisify(execFile)(process.execPath, [script, folder]);

let root: string;
let folder: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hndsr-globe-'));
  folder = join(root, 'raw');
  await run(folder);
});
afterAll(() => rm(root, { recursive: true }));

describe('the demo imagery', () => {
  it('is 325 tiles, each with its row in tiles.csv', async () => {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.png'));
    expect(names).toHaveLength(325);
    expect([...(await readSidecar(folder)).keys()].sort()).toEqual(names.sort());
  });

  it('has the pixels of the place that it names', async () => {
    const name = 'blue_marble_r05_c17.png';
    const row = (await readSidecar(folder)).get(name)!;
    // 11.25 degrees a tile: the centre of row 5 from the north pole, column 17 from 180 W.
    expect(row).toMatchObject({ source: 'nasa-blue-marble', latitude: 28.125, longitude: 16.875 });
    const region = { left: 17 * 128, top: 5 * 128, width: 128, height: 128 };
    const expected = await sharp(globe).extract(region).raw().toBuffer();
    expect((await sharp(join(folder, name)).raw().toBuffer()).equals(expected)).toBe(true);
  });

  it('is the same again, and leaves nothing beside', async () => {
    const before = await contents(folder);
    await run(folder);
    expect(await contents(folder)).toEqual(before);
    expect(await readdir(root)).toEqual(['raw']);
  });

  it('never replaces a folder that holds other files', async () => {
    await writeFile(join(root, 'mine.txt'), 'keep');
    await expect(run(root)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('holds other files'),
    });
    expect(await readdir(root)).toContain('mine.txt');
    await rm(join(root, 'mine.txt'));
  });
});
