import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { StaleOutputs } from '../../src/inference/stale-outputs.js';
import { upscaleJob } from '../../src/inference/upscale.js';
import { tinyParams } from '../models/tiny.js';
import { tinyRegistry, tinyUpscale, writeScene } from './registered-tiny.js';

/** No process has this number: Linux gives none beyond 2^22. */
const GONE = 4_999_999;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hndsr-stale-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function leave(name: string, process = GONE): string {
  const path = join(folder, `${name}.${process}.0123abcd.tmp`);
  mkdirSync(path);
  writeFileSync(join(path, 'pixels-0'), 'half');
  return path;
}

it('removes what was left of any output of a folder, and lists the folder once', async () => {
  const stale = new StaleOutputs(['a.tif', 'b.png'].map((name) => ({ output: join(folder, name) })));
  const left = [leave('a.tif'), leave('b.png'), leave('b.preview.png'), leave('a.uncertainty.tif')];
  const others = [leave('c.tif'), leave('a.tif', process.pid), join(folder, 'a.tif')];
  writeFileSync(others[2]!, 'whole');
  await Promise.all([stale.removeBeside(join(folder, 'a.tif')), stale.removeBeside(join(folder, 'b.png'))]);
  expect(left.filter(existsSync)).toEqual([]);
  expect(others.every(existsSync)).toBe(true);
  const late = leave('b.png');
  await stale.removeBeside(join(folder, 'b.png'));
  expect(existsSync(late)).toBe(true);
});

it('is what a job does before it writes', async () => {
  const params = tinyParams('training.crop=16', 'upscale.overlap=4');
  const cwd = await tinyRegistry(params);
  for (const name of ['a.png', 'b.png']) await writeScene(join(cwd, name), 5, 4, name);
  leave('a.png');
  leave('b.jpg');
  const options = { inputs: ['a.png'], output: folder };
  await upscaleJob(tinyUpscale(cwd, params, options), silent);
  expect(readdirSync(folder).filter((name) => name.includes('a.png'))).toEqual(['a.png']);
  await upscaleJob(tinyUpscale(cwd, params, { ...options, inputs: ['b.png'], format: 'jpeg' }), silent);
  expect(readdirSync(folder).toSorted()).toEqual(['a.png', 'b.jpg']);
  rmSync(cwd, { recursive: true });
});
