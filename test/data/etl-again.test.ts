import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runEtl } from '../../src/data/etl.js';
import { type HndsrEvent, silent } from '../../src/events.js';
import { openDataset } from '../../src/raster/dataset.js';
import { contents, newProject, picture, put, putPictures } from './images.js';

const BIN = new URL('../../bin/hndsr.js', import.meta.url).pathname;
const SETTINGS = ['data.split.method=hash', 'data.split.validation=0.3', 'data.split.test=0.3'];
const names = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `image_${String(from + index).padStart(4, '0')}.png`);

let cwd: string;
let input: string;
beforeEach(async () => {
  cwd = await newProject();
  input = join(cwd, 'data', 'raw');
  await mkdir(input, { recursive: true });
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

const etl = (...more: string[]) => runEtl({ cwd, overrides: [...SETTINGS, ...more], threads: 0 }, silent);
const withFlags = SETTINGS.flatMap((setting) => ['-S', setting]);

describe('a second run', () => {
  it('reads nothing where nothing has changed, and leaves the dataset as it is', async () => {
    await putPictures(input, names(30));
    const first = await etl();
    expect(first.images).toEqual({ total: 30, read: 30 });
    const before = await stat(join(first.dataset, 'manifest.json'));
    const again = await etl();
    expect(again).toEqual({ ...first, images: { total: 30, read: 0 } });
    expect((await stat(join(first.dataset, 'manifest.json'))).ino).toBe(before.ino);
  });

  it('reads the new and changed images only, and equals a run from nothing', async () => {
    await putPictures(input, names(30));
    await etl();
    await putPictures(input, names(10, 30));
    expect((await etl()).images).toEqual({ total: 40, read: 10 });
    await put(input, 'image_0003.png', await picture('another').png().toBuffer());
    await rm(join(input, 'image_0005.png'));
    const last = await etl();
    expect(last.images).toEqual({ total: 39, read: 1 });
    const bytes = await contents(last.dataset);
    await rm(join(cwd, '.hndsr'), { recursive: true });
    await rm(last.dataset, { recursive: true });
    expect((await etl()).images.read).toBe(39);
    expect(await contents(last.dataset)).toEqual(bytes);
  });

  it('makes the dataset again where it is gone, without reading an image', async () => {
    await putPictures(input, names(12));
    const { dataset } = await etl();
    const bytes = await contents(dataset);
    await rm(dataset, { recursive: true });
    expect((await etl()).images.read).toBe(0);
    expect(await contents(dataset)).toEqual(bytes);
  });

  it('makes again what was taken of its own files', async () => {
    await putPictures(input, names(12));
    const { dataset } = await etl();
    const bytes = await contents(dataset);
    const work = join(cwd, '.hndsr', 'etl');
    const own = Object.keys(await contents(work)).filter((path) => path.endsWith('.png'));
    await rm(join(work, own[0]!));
    await writeFile(join(work, `${own[1]!}.tmp`), '');
    await rm(dataset, { recursive: true });
    expect((await etl()).images.read).toBe(1);
    expect(await contents(dataset)).toEqual(bytes);
  });

  it('reads no image for another split, and all for other tiles', async () => {
    await putPictures(input, names(30));
    const first = await etl();
    const other = await etl('seed=8');
    expect(other.fingerprint).not.toBe(first.fingerprint);
    expect(other.images.read).toBe(0);
    expect((await etl('data.split.test=0.4')).images.read).toBe(0);
    expect((await etl('data.scale=2')).images.read).toBe(30);
  });

  it('notices an image of the same size and time that was put in the place of another', async () => {
    await putPictures(input, names(12));
    await etl();
    const path = join(input, 'image_0001.png');
    const { mtime, size } = await stat(path);
    const bytes = await readFile(path);
    const changed = await picture('quite another').png().toBuffer();
    await rm(path);
    await writeFile(
      path,
      Buffer.concat([changed, Buffer.alloc(Math.max(0, size - changed.length))]).subarray(
        0,
        Math.max(size, changed.length),
      ),
    );
    await utimes(path, mtime, mtime);
    expect(bytes.equals(await readFile(path))).toBe(false);
    expect((await etl()).images.read).toBe(1);
  });

  it('leaves no files behind of images that are gone', async () => {
    const jpegs = names(12).map((name) => name.replace('.png', '.jpg'));
    for (const name of jpegs) await put(input, name, await picture(name).jpeg().toBuffer());
    await etl();
    for (const name of jpegs.slice(6)) await rm(join(input, name));
    await etl();
    const kept = Object.keys(await contents(join(cwd, '.hndsr', 'etl'))).filter((path) =>
      path.endsWith('.png'),
    );
    expect(kept).toHaveLength(12);
  });
});

describe('disk', () => {
  it('is used once for images that are tiles as they are', async () => {
    await putPictures(input, names(12));
    const { dataset } = await etl('data.materialize=false');
    const { tiles } = await openDataset(dataset);
    for (const tile of tiles) {
      const [source, high] = await Promise.all([
        stat(join(input, `${tile.id}.png`)),
        stat(join(dataset, tile.hr)),
      ]);
      // A clone has a number of its own, and shares its blocks.
      if (source.nlink > 1) expect(high.ino).toBe(source.ino);
    }
    expect(Object.keys(await contents(dataset)).filter((path) => path.includes('LR_'))).toEqual([]);
  });
});

describe('a run that is broken off', () => {
  it('by Ctrl-C goes on where it was', async () => {
    await putPictures(input, names(30));
    let done = 0;
    const emit = (event: HndsrEvent): void => {
      if (event.kind === 'progress') done = event.done;
    };
    const stopping = runEtl(
      { cwd, overrides: SETTINGS, threads: 0 },
      { emit, interrupted: () => done >= 10 },
    );
    await expect(stopping).rejects.toMatchObject({
      code: 'INTERRUPTED',
      hint: expect.stringContaining('goes on'),
    });
    const { images } = await etl();
    expect(images.read).toBeLessThanOrEqual(20);
    expect(images.read).toBeGreaterThan(0);
  });

  it('by kill -9, again and again, ends with the bytes of a run that was not', async () => {
    const all = names(150);
    for (const name of all)
      await put(input, name.replace('.png', '.jpg'), await picture(name, 128, 96).jpeg().toBuffer());
    const whole = await runEtl({ cwd, output: 'clean', overrides: SETTINGS, threads: 0 }, silent);
    const expected = await contents(whole.dataset);
    for (const milliseconds of [350, 450, 600, 700]) {
      const child = execFile(process.execPath, [BIN, '-C', cwd, 'etl', ...withFlags]);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await Promise.race([sleep(milliseconds), ended]);
      child.kill('SIGKILL');
      await ended;
    }
    const result = await etl();
    expect(result.fingerprint).toBe(whole.fingerprint);
    expect(await contents(result.dataset)).toEqual(expected);
  });
});

describe('the number of threads', () => {
  it('changes no byte', async () => {
    for (const name of names(24))
      await put(input, name.replace('.png', '.jpg'), await picture(name, 96, 80).jpeg().toBuffer());
    const { dataset } = await etl();
    const bytes = await contents(dataset);
    await rm(join(cwd, '.hndsr'), { recursive: true });
    await rm(dataset, { recursive: true });
    const { runEtl: compiled } = await import('../../dist/data/etl.js');
    await compiled({ cwd, overrides: SETTINGS, threads: 3 }, silent);
    expect(await contents(dataset)).toEqual(bytes);
  });
});
