import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HndsrEvent, silent } from '../../src/events.js';
import { listJobs, showJob } from '../../src/inference/jobs.js';
import { PHASES } from '../../src/inference/phase-times.js';
import { type UpscaleOptions, upscaleJob } from '../../src/inference/upscale.js';
import { readImage } from '../../src/raster/image.js';
import { hndsr, PROGRAM, ROOT, temporaryFiles } from '../cli/tiny-project.js';
import { tinyParams } from '../models/tiny.js';
import { tinyRegistry, tinyUpscale, writeScene } from './registered-tiny.js';

const params = tinyParams('training.crop=16', 'upscale.overlap=4');
let cwd: string;
beforeEach(async () => {
  cwd = await tinyRegistry(params);
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const run = (options: Partial<UpscaleOptions>, context = silent) =>
  upscaleJob(tinyUpscale(cwd, params, options), context);

const bytesOf = (name: string): Buffer => readFileSync(join(cwd, name));

describe('a job', () => {
  it('upscales all images of a folder, and one that is broken does not stop the others', async () => {
    for (const [index, name] of ['a', 'b', 'c'].entries())
      await writeScene(join(cwd, `${name}.png`), 9 + index, 7, name);
    writeFileSync(join(cwd, 'broken.png'), bytesOf('a.png').subarray(0, 90));
    const inputs = ['a.png', 'broken.png', 'b.png', 'nowhere.png', 'c.png'];
    const report = await run({ inputs, output: 'out' });
    expect(report).toMatchObject({ done: 3, unchanged: 0, failed: 2 });
    expect(Object.keys(report.phases)).toEqual([...PHASES]);
    const codes = report.files.map(({ input, error }) => [input, error?.code]);
    expect(Object.fromEntries(codes)).toEqual({
      'a.png': undefined,
      'b.png': undefined,
      'c.png': undefined,
      'broken.png': 'INPUT_INVALID',
      'nowhere.png': 'INPUT_MISSING',
    });
    expect(readdirSync(join(cwd, 'out')).sort()).toEqual(['a.png', 'b.png', 'c.png']);
    const image = await readImage(join(cwd, 'out', 'c.png'), { maxPixels: 1e6 });
    expect([image.width, image.height]).toEqual([44, 28]);
    const stored = JSON.parse(readFileSync(join(cwd, report.report!), 'utf8'));
    expect(stored).toMatchObject({ job: report.job, done: 3, failed: 2 });
    expect(listJobs(cwd)).toMatchObject([{ id: 1, status: 'failed', files: 4, done: 3, failed: 1 }]);
    expect(showJob(cwd, 1).files.map(({ input, status }) => [input, status])).toEqual([
      ['a.png', 'done'],
      ['broken.png', 'failed'],
      ['b.png', 'done'],
      ['c.png', 'done'],
    ]);
  });

  it('is the same job when it is run again: what is done is left, what failed or was changed is made', async () => {
    await writeScene(join(cwd, 'a.png'), 9, 7, 'a');
    await writeScene(join(cwd, 'b.png'), 9, 7, 'b');
    writeFileSync(join(cwd, 'c.png'), 'no image');
    const options = { inputs: ['a.png', 'b.png', 'c.png'], output: 'out' };
    await run(options);
    const before = statSync(join(cwd, 'out', 'a.png')).mtimeMs;
    await writeScene(join(cwd, 'c.png'), 9, 7, 'c');
    // As if someone had damaged it.
    writeFileSync(join(cwd, 'out', 'b.png'), 'x');
    const again = await run({ ...options, overwrite: true });
    expect(again).toMatchObject({ job: 1, done: 2, unchanged: 1, failed: 0 });
    expect(statSync(join(cwd, 'out', 'a.png')).mtimeMs).toBe(before);
    // Other bytes under the same name are another image.
    writeFileSync(join(cwd, 'a.png'), bytesOf('b.png'));
    expect(await run({ ...options, overwrite: true })).toMatchObject({ done: 1, unchanged: 2 });
    expect(listJobs(cwd)).toHaveLength(1);
  });

  it('does not overwrite what it has not made, and stops at the first failure where that is asked for', async () => {
    await writeScene(join(cwd, 'a.png'), 9, 7, 'a');
    await writeScene(join(cwd, 'b.png'), 9, 7, 'b');
    await run({ inputs: ['a.png'], output: 'a4.png' });
    const kept = bytesOf('a4.png');
    const other = await run({ inputs: ['a.png'], output: 'a4.png', seed: 2 });
    expect(other.files[0]!.error!.code).toBe('OUTPUT_EXISTS');
    expect(bytesOf('a4.png')).toEqual(kept);
    writeFileSync(join(cwd, 'broken.png'), 'no image');
    const threads = { load: 1, proc: 0, save: 1 };
    const inputs = ['broken.png', 'a.png', 'b.png', 'a4.png'];
    const stopped = await run({ inputs, output: 'out', failFast: true, threads });
    expect(stopped.failed).toBe(1);
    expect(stopped.files.length).toBeLessThan(4);
    expect(stopped.waiting).toBe(4 - stopped.files.length);
  });

  it('warns of an image that fails where there are others, whose errors are not that of the command', async () => {
    await writeScene(join(cwd, 'a.png'), 5, 4, 'a');
    writeFileSync(join(cwd, 'broken.png'), 'no image');
    const warnings = async (inputs: string[]): Promise<string[]> => {
      const told: string[] = [];
      const emit = (event: HndsrEvent): void => {
        if (event.kind === 'message' && event.level === 'warning') told.push(event.text);
      };
      await run({ inputs, output: 'out', overwrite: true }, { emit, interrupted: () => false });
      return told;
    };
    expect(await warnings(['broken.png', 'a.png'])).toEqual([
      expect.stringMatching(/^INPUT_INVALID: .*broken/),
    ]);
    expect(await warnings(['broken.png'])).toEqual([]);
  });

  it('takes equal images of one name in two folders, and refuses what would need more memory than it may have', async () => {
    for (const folder of ['one', 'two']) {
      mkdirSync(join(cwd, 'in', folder), { recursive: true });
      await writeScene(join(cwd, 'in', folder, 'a.png'), 12, 30, 'a');
    }
    const report = await run({ inputs: ['in'], output: 'out', tta: true });
    expect(report).toMatchObject({ done: 2, failed: 0 });
    expect(bytesOf('out/one/a.png')).toEqual(bytesOf('out/two/a.png'));
    const little = await run({ inputs: ['in/one/a.png'], output: 'b.png', memory: 1e6 });
    expect(little.files[0]!.error).toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/48 x 120 needs about \d+ MB, and it may take 1 MB/),
    });
  });

  it('makes a picture that does not depend on what else is in the job, on tiles, batches or threads', async () => {
    for (const [index, name] of ['a', 'b', 'c'].entries())
      await writeScene(join(cwd, `${name}.png`), 13 + 2 * index, 11 + index, name);
    await run({ inputs: ['b.png'], output: 'alone', batch: 2, tile: 16 });
    await run({
      inputs: ['a.png', 'b.png', 'c.png'],
      output: 'together',
      batch: 7,
      tile: 64,
      threads: { load: 3, proc: 0, save: 2 },
    });
    expect(bytesOf('together/b.png')).toEqual(bytesOf('alone/b.png'));
  });

  it('goes on where it was stopped, to the same bytes', async () => {
    await writeScene(join(cwd, 'a.png'), 12, 60, 'a');
    for (const extra of [{}, { consistency: true }, { ensemble: 2, output: 'part.tif' }]) {
      await run({
        inputs: ['a.png'],
        output: 'whole.png',
        ...extra,
        ...(extra.ensemble && { output: 'whole.tif' }),
      });
      const windows: number[] = [];
      let seen = 0;
      const context = {
        emit: (event: HndsrEvent) => {
          if (event.kind === 'progress') windows.push(event.done);
        },
        interrupted: () => ++seen > 60,
      };
      const options = { inputs: ['a.png'], output: 'part.png', ...extra };
      await expect(run(options, context)).rejects.toMatchObject({ code: 'INTERRUPTED' });
      expect(existsSync(join(cwd, options.output))).toBe(false);
      expect(showJob(cwd, listJobs(cwd)[0]!.id).status).toBe('interrupted');
      const first: number[] = [];
      await run(options, {
        emit: (event) => event.kind === 'progress' && first.push(event.done),
        interrupted: () => false,
      });
      // Not from the start.
      expect(first[0]!).toBeGreaterThan(0);
      const ending = options.output.slice(4);
      expect(bytesOf(options.output)).toEqual(bytesOf(`whole${ending}`));
      if (extra.ensemble) expect(bytesOf('part.uncertainty.tif')).toEqual(bytesOf('whole.uncertainty.tif'));
      for (const name of readdirSync(cwd)) if (/^(part|whole)/.test(name)) rmSync(join(cwd, name));
      expect(temporaryFiles(cwd)).toEqual([]);
    }
  });
});

describe('a job as a process', () => {
  beforeEach(async () => {
    writeFileSync(join(cwd, 'params.yaml'), readFileSync(join(ROOT, 'params.yaml')));
  });

  it.each([
    ['killed', 'SIGKILL', undefined, { status: 'abandoned', files: [{ status: 'running', input: 'a.png' }] }],
    ['interrupted', 'SIGINT', 130, { status: 'interrupted', files: [{ status: 'waiting', input: 'a.png' }] }],
  ] as const)(
    'that was %s goes on where it was, to the same bytes',
    async (_, signal, code, state) => {
      await writeScene(join(cwd, 'a.png'), 30, 150, 'a');
      const words = [
        'upscale',
        'a.png',
        '--model',
        '1',
        '--steps',
        '2',
        '-t',
        '32',
        '--eta',
        '0.5',
        '-S',
        'upscale.overlap=4',
      ];
      const killed = execa(process.execPath, [PROGRAM, '-C', cwd, ...words, '-o', 'killed.png'], {
        reject: false,
      });
      const deadline = Date.now() + 60_000;
      const spooled = (): number => {
        const folder = join(cwd, '.hndsr', 'jobs', '1');
        if (!existsSync(folder)) return 0;
        const rows = readdirSync(folder).filter((name) => name.endsWith('.rows'));
        return rows.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
      };
      while (spooled() < 30_000 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 5));
      killed.kill(signal);
      expect((await killed).exitCode).toBe(code);
      expect(existsSync(join(cwd, 'killed.png'))).toBe(false);
      const shown = JSON.parse((await hndsr(cwd, 'jobs', 'show', '1', '--json')).stdout);
      expect(shown).toMatchObject(state);
      const retried = await hndsr(cwd, 'jobs', 'retry', '1');
      expect([retried.code, retried.stdout]).toEqual([0, expect.stringContaining('120x600')]);
      expect((await hndsr(cwd, ...words, '-o', 'whole.png', '-j', '1:2:1', '--batch', '5')).code).toBe(0);
      expect(bytesOf('killed.png')).toEqual(bytesOf('whole.png'));
      expect(temporaryFiles(cwd)).toEqual([]);
      expect(spooled()).toBe(0);
    },
    120_000,
  );

  it('takes a list on stdin, writes a table, and ends with 1 where an image failed', async () => {
    await writeScene(join(cwd, 'a.png'), 9, 7, 'a');
    const input = 'a.png\nnowhere.png\n';
    const words = ['-C', cwd, 'upscale', '-', '-m', '1', '-n', '0', '-o', 'out', '-j', '1'];
    const ran = await execa(process.execPath, [PROGRAM, ...words], { input, reject: false });
    const { exitCode, stdout, stderr } = ran;
    expect([exitCode, stderr]).toEqual([1, expect.not.stringMatching(/^error/m)]);
    expect(stdout).toMatch(/a\.png +done +36x28 .*\nnowhere\.png +failed .*INPUT_MISSING/);
    expect(stdout).toContain('1 done, 0 there already, 1 failed');
    expect((await hndsr(cwd, 'jobs', 'list')).stdout).toMatch(/1 +failed/);
  }, 60_000);
});
