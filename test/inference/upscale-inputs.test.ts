import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listUpscaleInputs, type UpscaleInputs } from '../../src/inference/upscale-inputs.js';

let cwd: string;
beforeEach(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), 'hndsr-inputs-')));
  for (const path of [
    'scenes/b.png',
    'scenes/deep/a.tif',
    'scenes/notes.txt',
    'scenes/.hidden.png',
    'one.dat',
  ])
    await put(path);
});
afterEach(() => rm(cwd, { recursive: true }));

async function put(path: string, content = 'x'): Promise<void> {
  await mkdir(dirname(join(cwd, path)), { recursive: true });
  await writeFile(join(cwd, path), content);
}

const list = (inputs: string[], stdin: (Uint8Array | string)[] = []): Promise<UpscaleInputs> =>
  listUpscaleInputs({ cwd, inputs, endpoint: null, cache: join(cwd, 'cache'), stdin: streamOf(stdin) });

async function* streamOf(parts: (Uint8Array | string)[]): AsyncGenerator<Uint8Array | string> {
  yield* parts;
}

const pathsOf = ({ images }: UpscaleInputs): string[] => images.map(({ path }) => path);

describe('what is named on the command line', () => {
  it('may be a file, of any ending, and a folder with all that is below it', async () => {
    const found = await list(['one.dat', 'scenes']);
    expect(pathsOf(found)).toEqual(['one.dat', 'b.png', 'deep/a.tif']);
    expect(found.images[2]!.absolute).toBe(join(cwd, 'scenes', 'deep', 'a.tif'));
    expect(found).toMatchObject({ ignored: 1, missing: [] });
  });

  it('may be a pattern, whose paths begin after its last plain folder', async () => {
    expect(pathsOf(await list(['scenes/**/*.tif']))).toEqual(['deep/a.tif']);
  });

  it('may be a list of files', async () => {
    await put('scenes.csv', 'path\nscenes/b.png\nscenes/gone.png\n');
    const found = await list(['scenes.csv']);
    expect(pathsOf(found)).toEqual(['scenes/b.png']);
    expect(found.missing).toMatchObject([{ path: 'scenes/gone.png' }]);
  });

  it.each([
    ['lines', ['scenes/b.pn', 'g\r\nscenes/deep\n\n']],
    ['zeros', [Buffer.from('scenes/b.png\0scenes/de'), Buffer.from('ep\0')]],
  ])('may come on stdin, ended by %s', async (_, parts) => {
    expect(pathsOf(await list(['-'], parts))).toEqual(['b.png', 'a.tif']);
  });

  it('is taken once, however often it is named', async () => {
    expect(pathsOf(await list(['scenes/b.png', 'scenes', './scenes/../scenes/b.png']))).toEqual([
      'b.png',
      'deep/a.tif',
    ]);
  });

  it('that is not there is told, and stops nothing', async () => {
    const found = await list(['gone.png', 'scenes/b.png']);
    expect(pathsOf(found)).toEqual(['b.png']);
    expect(found.missing).toEqual([{ path: 'gone.png', detail: 'it was not found' }]);
  });

  it('is an error where there is nothing else', async () => {
    await expect(list(['gone.png', 'lost'])).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      message: 'gone.png: it was not found, nor any of the 1 others',
    });
    await mkdir(join(cwd, 'empty'));
    await put('empty/readme.md');
    await expect(list(['empty'])).rejects.toMatchObject({
      code: 'INPUT_EMPTY',
      message: 'there are no images in empty (files of other kinds: 1)',
    });
  });

  it('does not follow links out of a folder, and needs no table that lies there to be one of ours', async () => {
    await symlink(join(cwd, 'one.dat'), join(cwd, 'scenes', 'out.png'));
    await put('scenes/tiles.csv', 'no,table\nof,"ours');
    expect(pathsOf(await list(['scenes']))).toEqual(['b.png', 'deep/a.tif']);
  });
});
