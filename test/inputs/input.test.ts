import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParquetSchema, ParquetWriter } from '@dsnp/parquetjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openInput } from '../../src/inputs/input.js';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'hndsr-input-'));
  for (const path of ['a/one.png', 'a/two.tif', 'b/c/three.JPG', 'b/notes.txt', '.hidden/four.png']) {
    await mkdir(join(cwd, 'scenes', path, '..'), { recursive: true });
    await writeFile(join(cwd, 'scenes', path), path);
  }
});
afterEach(() => rm(cwd, { recursive: true }));

const open = (input: string, lowResolution: string | null = null) =>
  openInput({ cwd, input, endpoint: null, lowResolution, cache: join(cwd, 'cache') });
const paths = async (input: string) => (await open(input)).images.map(({ path }) => path);

describe('an input', () => {
  it('is a folder with its subfolders', async () => {
    expect(await paths('scenes')).toEqual(['a/one.png', 'a/two.tif', 'b/c/three.JPG']);
    expect((await open('scenes')).ignored).toBe(1);
  });

  it('is a pattern, with paths from its last plain folder', async () => {
    expect(await paths('scenes/**/*.{png,tif}')).toEqual(['a/one.png', 'a/two.tif']);
    expect(await paths('scenes/a/*')).toEqual(['one.png', 'two.tif']);
    expect(await paths(join(cwd, 'scenes', '*', 'two.tif'))).toEqual(['a/two.tif']);
    await expect(open('nowhere/*.png')).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      message: expect.stringContaining('nowhere'),
    });
  });

  it('is a folder whose name looks like a pattern', async () => {
    await mkdir(join(cwd, 'scenes [old]'));
    await writeFile(join(cwd, 'scenes [old]', 'x.png'), 'x');
    expect(await paths('scenes [old]')).toEqual(['x.png']);
  });

  it('is a list as CSV, whose columns are kept', async () => {
    await writeFile(
      join(cwd, 'scenes', 'list.csv'),
      'path,lat,lon,split,class\na/one.png,1.5,2,train,forest\nb/c/three.JPG,,,test,sea\na/gone.png,,,train,sea\n',
    );
    const { images, rejects } = await open('scenes/list.csv');
    expect(images.map(({ path }) => path)).toEqual(['a/one.png', 'b/c/three.JPG']);
    expect(images[0]!.fields).toMatchObject({ latitude: 1.5, longitude: 2, split: 'train' });
    expect(images[1]!.fields.columns).toEqual({ split: 'test', class: 'sea' });
    expect(rejects).toMatchObject([{ path: 'a/gone.png', reason: 'unreadable' }]);
  });

  it('is a list as Parquet', async () => {
    const schema = new ParquetSchema({
      path: { type: 'UTF8' },
      latitude: { type: 'DOUBLE', optional: true },
      sensor: { type: 'UTF8', optional: true },
    });
    const writer = await ParquetWriter.openFile(schema, join(cwd, 'list.parquet'));
    await writer.appendRow({ path: 'scenes/a/two.tif', latitude: -3.25, sensor: 'oli' });
    await writer.appendRow({ path: 'scenes/a/one.png' });
    await writer.close();
    const { images } = await open('list.parquet');
    expect(images.map(({ path, fields }) => [path, fields.latitude, fields.sensor])).toEqual([
      ['scenes/a/one.png', undefined, undefined],
      ['scenes/a/two.tif', -3.25, 'oli'],
    ]);
    await writeFile(join(cwd, 'bad.parquet'), 'this is no Parquet file, but long enough');
    await expect(open('bad.parquet')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('that names an image twice, or is not there, is an error', async () => {
    await writeFile(join(cwd, 'list.csv'), 'path\nscenes/a/one.png\nscenes/a/one.png\n');
    await expect(open('list.csv')).rejects.toMatchObject({ code: 'INPUT_INVALID', location: { line: 3 } });
    await expect(open('none.csv')).rejects.toMatchObject({ code: 'INPUT_MISSING' });
  });

  it('has pairs by name, and refuses what has no partner', async () => {
    for (const path of ['a/one_lr.png', 'a/two.png', 'a/five.png']) {
      await mkdir(join(cwd, 'low', path, '..'), { recursive: true });
      await writeFile(join(cwd, 'low', path), path);
    }
    const { images, rejects } = await open('scenes', 'low');
    expect(images.map(({ path, pair }) => [path, pair!.path])).toEqual([
      ['a/one.png', 'a/one_lr.png'],
      ['a/two.tif', 'a/two.png'],
    ]);
    expect(rejects.map(({ path, reason }) => [path, reason])).toEqual([
      ['b/c/three.JPG', 'pair-missing'],
      ['a/five.png (low resolution)', 'pair-missing'],
    ]);
  });
});
