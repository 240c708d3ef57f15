import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const SIDE = 6000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-memory-'));
});
afterAll(() => rm(folder, { recursive: true }));

const PROGRAM = `
import { readFileSync } from 'node:fs';
const [dist, path, format, side] = process.argv.slice(2);
const { createCogWriter } = await import(dist + '/raster/tiff/cog-writer.js');
const { createPngWriter } = await import(dist + '/raster/png-writer.js');
const size = Number(side);
const layout = {
  width: size, height: size, dtype: 'uint8', bands: 3, alpha: false, mask: false, quality: 90,
  carried: { metadata: [], texts: {}, isRgb: true },
};
const writer = await (format === 'png' ? createPngWriter : createCogWriter)(path, layout);
const samples = new Uint8Array(size * 3 * 100).map((_, index) => index >> 5);
for (let y = 0; y < size; y += 100) await writer.write({ samples }, 100);
await writer.finish();
console.log(/VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
`;

describe(`an image of ${SIDE} x ${SIDE} pixels`, () => {
  it.each(['png', 'tif'])(
    'is written as %s in less memory than its pixels take',
    async (format) => {
      const script = join(folder, 'write.mjs');
      await writeFile(script, PROGRAM);
      const words = [
        script,
        new URL('../../dist', import.meta.url).href,
        join(folder, `out.${format}`),
        format,
        String(SIDE),
      ];
      const peak =
        Number(execFileSync(process.execPath, words, { encoding: 'utf8', timeout: 240_000 })) * 1024;
      // Node itself takes half of it; all of the pixels would be 108 MB more.
      expect(peak).toBeLessThan(150e6);
    },
    300_000,
  );
});
