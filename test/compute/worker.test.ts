import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HndsrError } from '../../src/errors.js';
import type { HndsrEvent } from '../../src/events.js';

/** The compiled module, as users run it: a thread cannot load TypeScript. */
const WORKER = new URL('../../dist/compute/worker.js', import.meta.url).href;
const { runOnThread } = (await import(WORKER)) as typeof import('../../src/compute/worker.js');

const JOBS = `
import { HndsrError } from ${JSON.stringify(new URL('../../dist/errors.js', import.meta.url))};

const blockFor = (milliseconds) => {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
};

export async function double({ number }, context) {
  context.emit({ kind: 'progress', task: 'doubling', done: 1, total: 2 });
  context.emit({ kind: 'done', task: 'doubling', text: 'ready' });
  return { doubled: 2 * number, values: Float32Array.of(1, 2) };
}
export async function busy() {
  blockFor(1000);
  return 'done';
}
export async function patient(_options, context) {
  context.emit({ kind: 'message', level: 'info', text: 'started' });
  for (let round = 0; round < 500; round++) {
    // Never gives its own event loop a turn: only shared memory can tell it to stop.
    blockFor(20);
    if (context.interrupted()) throw new HndsrError('INTERRUPTED', 'the patient job was interrupted', { hint: 'Again.' });
  }
  return 'never stopped';
}
export async function failing() {
  throw new HndsrError('CHECKPOINT_MISSING', 'no checkpoint', {
    hint: 'Run something.',
    location: { file: 'params.yaml', line: 3, column: 4 },
    source: 'a: b',
  });
}
export async function faulty() {
  throw new TypeError('a fault of the program');
}
export async function throwsText() {
  throw 'only text';
}
export async function uncloneable() {
  return () => {};
}
export async function leaves() {
  process.exit(3);
}
`;

let folder: string;
let jobs: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-worker-'));
  const path = join(folder, 'jobs.mjs');
  await writeFile(path, JOBS);
  jobs = pathToFileURL(path).href;
});
afterAll(() => rm(folder, { recursive: true }));

const quiet = { emit: () => {} };

function tickEvery(milliseconds: number): { stop(): number } {
  let ticks = 0;
  const timer = setInterval(() => ticks++, milliseconds);
  return {
    stop: () => {
      clearInterval(timer);
      return ticks;
    },
  };
}

it('gives options to the job and returns its result and its events, in order', async () => {
  const events: HndsrEvent[] = [];
  const result = await runOnThread(jobs, 'double', { number: 21 }, { emit: (event) => events.push(event) });
  expect(result).toEqual({ doubled: 42, values: Float32Array.of(1, 2) });
  expect(events).toEqual([
    { kind: 'progress', task: 'doubling', done: 1, total: 2 },
    { kind: 'done', task: 'doubling', text: 'ready' },
  ]);
});

it('lets the caller go on while the job holds its thread', async () => {
  const ticks = tickEvery(20);
  expect(await runOnThread(jobs, 'busy', {}, quiet)).toBe('done');
  // 50 in a second if nothing else ran; none but the last if the caller were held up.
  expect(ticks.stop()).toBeGreaterThan(15);
});

it('tells a job that holds its thread to stop', async () => {
  const stopping = new AbortController();
  const began = performance.now();
  const running = runOnThread(jobs, 'patient', {}, { emit: () => stopping.abort(), signal: stopping.signal });
  await expect(running).rejects.toMatchObject({
    code: 'INTERRUPTED',
    message: 'the patient job was interrupted',
  });
  expect(performance.now() - began).toBeLessThan(5000);
});

it('tells a job that starts after the abort', async () => {
  await expect(
    runOnThread(jobs, 'patient', {}, { ...quiet, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'INTERRUPTED' });
});

it('lets a job that never asks end as it would', async () => {
  expect(await runOnThread(jobs, 'busy', {}, { ...quiet, signal: AbortSignal.abort() })).toBe('done');
});

it("keeps the code, hint and place of a user's error", async () => {
  const error = await runOnThread(jobs, 'failing', {}, quiet).catch((thrown: unknown) => thrown);
  // Of the compiled module, whose class is another than that of the sources.
  expect(error).toMatchObject({
    name: 'HndsrError',
    code: 'CHECKPOINT_MISSING',
    message: 'no checkpoint',
    hint: 'Run something.',
    location: { file: 'params.yaml', line: 3, column: 4 },
    source: 'a: b',
    exitCode: new HndsrError('CHECKPOINT_MISSING', '').exitCode,
  });
});

it('keeps the name, message and stack of a fault of the program', async () => {
  const error = await runOnThread(jobs, 'faulty', {}, quiet).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'TypeError', message: 'a fault of the program' });
  expect((error as Error).stack).toContain('jobs.mjs');
  await expect(runOnThread(jobs, 'throwsText', {}, quiet)).rejects.toThrow('only text');
  await expect(runOnThread(jobs, 'uncloneable', {}, quiet)).rejects.toThrow('could not be cloned');
});

it('says so if the thread ends without an answer', async () => {
  await expect(runOnThread(jobs, 'leaves', {}, quiet)).rejects.toThrow(
    'the thread of leaves ended with code 3',
  );
});

it('fails for a job or a module that is not there', async () => {
  await expect(runOnThread(jobs, 'nothing', {}, quiet)).rejects.toThrow('is not a function');
  await expect(runOnThread(`${jobs}.missing`, 'double', {}, quiet)).rejects.toThrow('Cannot find module');
});
