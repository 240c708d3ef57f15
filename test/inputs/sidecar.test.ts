import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSidecar } from '../../src/inputs/sidecar.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-sidecar-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(text: string) {
  await writeFile(join(folder, 'tiles.csv'), text);
  return readSidecar(folder);
}

describe('tiles.csv', () => {
  it('is optional', async () => {
    expect((await readSidecar(folder)).size).toBe(0);
  });

  it('may have columns in any order, quotes, a byte-order mark, Windows line ends and empty lines', async () => {
    const rows = await read(
      '\ufefflatitude,path,longitude,other,source\r\n1.5,"a, b/c.png",-2,x,"the ""one"""\r\n\r\n,d.png,,,\r\n',
    );
    expect([...rows]).toEqual([
      [
        'a, b/c.png',
        {
          latitude: 1.5,
          longitude: -2,
          source: 'the "one"',
          columns: { latitude: '1.5', longitude: '-2', other: 'x', source: 'the "one"' },
        },
      ],
      ['d.png', { columns: {} }],
    ]);
  });

  it.each([
    ['name,latitude\na,1', 1, 'its first line has no column `path`'],
    ['path,latitude\na.png', 2, '1 values for 2 columns'],
    ['path,latitude\na.png,1\nb.png,north', 3, 'latitude `north` is not a number from -90 to 90'],
    ['path,longitude\na.png,181', 2, 'longitude `181` is not a number from -180 to 180'],
    ['path\na.png\n\n./a.png', 4, '`./a.png` has a row above already'],
  ])('%j is refused with its line', async (text, line, problem) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: `${join(folder, 'tiles.csv')}: line ${line}: ${problem.replace('./', '')}`,
      location: { line },
    });
  });
});
