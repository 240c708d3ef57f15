import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { HndsrEvent } from '../../src/events.js';
import { readCheckpoint } from '../../src/models/checkpoint.js';
import { Random } from '../../src/random.js';
import { newProject, quickParams } from './project.js';
import { attempt, digests } from './runs.js';

const PROGRAM = fileURLToPath(new URL('../../bin/hndsr.js', import.meta.url));
const CHECKPOINT_STEPS = 5;
const STEPS = 240;
const params = quickParams(
  `training.checkpoint_steps=${CHECKPOINT_STEPS}`,
  'model.autoencoder.width=4',
  'training.autoencoder.epochs=20',
  'training.autoencoder.steps_per_epoch=12',
);

const folders: string[] = [];
async function project(): Promise<string> {
  const cwd = await newProject();
  folders.push(cwd);
  // Batches from threads, in the processes: that must make no difference.
  const threaded = { ...params, training: { ...params.training, loader_threads: 2 } };
  await writeFile(join(cwd, 'params.yaml'), stringify(threaded));
  return cwd;
}

let expected: Record<string, string>;
beforeAll(async () => {
  const cwd = await project();
  expect((await attempt({ cwd, params, stages: ['autoencoder'] })).error).toBeUndefined();
  expected = digests(cwd, ['autoencoder']);
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  events: HndsrEvent[];
  stderr: string;
}

/** Trains in a process of its own, which hears `signal` that long after step `from`. */
function train(cwd: string, signal?: NodeJS.Signals, from = 1, milliseconds = 0): Promise<Ended> {
  const words = ['-C', cwd, '--json', 'train', '--stage', 'autoencoder', '--resume'];
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  let isSent = signal === undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (isSent || !eventsOf(stderr).some((event) => event.kind === 'progress' && event.done >= from)) return;
    isSent = true;
    setTimeout(() => child.kill(signal), milliseconds);
  });
  return new Promise((resolve) => {
    child.on('close', (code, by) => resolve({ code, signal: by, stderr, events: eventsOf(stderr) }));
  });
}

/** The whole lines of what a process wrote with --json. */
function eventsOf(stderr: string): HndsrEvent[] {
  const lines = stderr.slice(0, stderr.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line.startsWith('{"kind"')).map((line) => JSON.parse(line) as HndsrEvent);
}

const stepsHeard = (events: HndsrEvent[]): number =>
  Math.max(0, ...events.map((event) => (event.kind === 'progress' ? event.done : 0)));

const folderOf = (cwd: string): string => join(cwd, 'checkpoints', 'autoencoder');
const files = (cwd: string): string[] => readdirSync(folderOf(cwd)).sort();
const WHOLE = ['best.safetensors', 'last.safetensors'];

/** The step of last.safetensors, 0 without one; every checkpoint there is, is whole. */
async function keptStep(cwd: string): Promise<number> {
  const kept = await Promise.all(
    files(cwd)
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => readCheckpoint(join(folderOf(cwd), name), 'autoencoder')),
  );
  return Math.max(0, ...kept.map(({ step }) => step));
}

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  it('writes where training is, says how to go on, and costs nothing', async () => {
    const cwd = await project();
    const stopped = await train(cwd, signal, 30);
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(stopped.stderr).toContain('go on with `hndsr train --stage autoencoder --resume`');
    expect(await keptStep(cwd)).toBe(stepsHeard(stopped.events));
    expect((await train(cwd)).code).toBe(0);
    expect(digests(cwd, ['autoencoder'])).toEqual(expected);
  });
});

it('kill -9 at 20 moments breaks no checkpoint, costs one interval at most, and changes no byte', async () => {
  const cwd = await project();
  const random = Random.from(20, 'kills');
  let [kept, heard] = [0, 0];
  for (let kill = 0; kill < 20; kill++) {
    const ended = await train(cwd, 'SIGKILL', 1, random.integer(120));
    if (ended.signal === null) break;
    heard = Math.max(heard, stepsHeard(ended.events));
    const now = await keptStep(cwd);
    expect(now, 'goes on where it was').toBeGreaterThanOrEqual(kept);
    expect(heard - now, 'steps that were lost').toBeLessThanOrEqual(CHECKPOINT_STEPS);
    kept = now;
  }
  expect(kept, 'the kills came before the end').toBeLessThan(STEPS);
  const ended = await train(cwd);
  expect(ended.code, ended.stderr).toBe(0);
  expect(digests(cwd, ['autoencoder'])).toEqual(expected);
  expect(files(cwd)).toEqual(WHOLE);
}, 180_000);

const mountable =
  process.platform === 'linux' &&
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

it.skipIf(!mountable)(
  'a full disk ends training and leaves what it goes on from (skipped where tmpfs cannot be mounted)',
  async () => {
    const cwd = await project();
    const disk = folderOf(cwd);
    await mkdir(disk, { recursive: true });
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk]).status).toBe(0);
    const filler = join(disk, 'filler');
    try {
      let isFull = false;
      const { error } = await attempt({ cwd, params, stages: ['autoencoder'] }, (events) => {
        if (!isFull && stepsHeard(events) === 33) {
          isFull = true;
          const { bavail, bsize } = statfsSync(disk);
          writeFileSync(filler, Buffer.alloc(bavail * bsize));
        }
        return false;
      });
      expect(error).toMatchObject({
        code: 'DISK_FULL',
        message: `no space left on the device while writing ${join(disk, 'last.safetensors')}`,
      });
      expect(files(cwd)).toEqual(['best.safetensors', 'filler', 'last.safetensors']);
      expect(await keptStep(cwd)).toBe(30);
      rmSync(filler);
      const resumed = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
      expect(resumed.trained[0]).toMatchObject({ resumedAt: 30, steps: STEPS });
      expect(digests(cwd, ['autoencoder'])).toEqual(expected);
    } finally {
      spawnSync('umount', [disk]);
    }
  },
);

it('a finished training is left alone, with exit code 0', async () => {
  const cwd = await project();
  await attempt({ cwd, params, stages: ['autoencoder'] });
  const before = await readFile(join(folderOf(cwd), 'last.safetensors'));
  const { code, stderr } = await train(cwd);
  expect(code).toBe(0);
  expect(stderr).toContain(`autoencoder is finished, at step ${STEPS}`);
  expect(await readFile(join(folderOf(cwd), 'last.safetensors'))).toEqual(before);
});
