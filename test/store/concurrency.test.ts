import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
import { HndsrError } from '../../src/errors.js';
import { allRuns, checkpointsOf, metricsOf } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { systemMetricsOf } from '../../src/store/system-metrics.js';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-concurrency-'));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const PROCESSES = 8;
const FLUSHES = 30;
const STEPS = 20;

/** What a training writes, without the training. It begins when its standard input ends. */
const SCRIPT = `
  const [folder, cwd, stage] = process.argv.slice(1);
  const { openStore } = await import(folder + 'store.js');
  const { startRun, recordMetrics, recordCheckpoint, finishRun } = await import(folder + 'runs.js');
  const { recordSystemMetrics } = await import(folder + 'system-metrics.js');
  process.stdout.write('ready');
  for await (const _ of process.stdin);
  const store = openStore(cwd);
  const run = startRun(store, {
    stage, seed: 1, engine: 'onnx', device: 'cpu', engineReason: 'test', params: {}, datasetFingerprint: 'd',
    codeVersion: '0', versions: {}, gitCommit: null, gitDirty: null, resumedFrom: null,
  });
  for (let flush = 0; flush < ${FLUSHES}; flush++) {
    const steps = Array.from({ length: ${STEPS} }, (_, index) => ({
      step: flush * ${STEPS} + index + 1, values: { loss: 1 / (index + 1), gradient_norm: 1, learning_rate: 1e-4 },
    }));
    recordMetrics(store, run, steps);
    recordCheckpoint(store, run, { path: 'p', sha256: stage, step: (flush + 1) * ${STEPS}, kind: 'last' });
    recordSystemMetrics(store, run, [{ at: flush, cpuSeconds: 1, residentBytes: 1, systemLoad: 1, freeBytes: 1 }]);
  }
  finishRun(store, run, 'completed');
  store.close();`;

describe('eight processes that train at once in a new project', () => {
  it('all write everything, and none hears that the database is locked', async () => {
    const folder = new URL('../../dist/store/', import.meta.url).href;
    const children = Array.from({ length: PROCESSES }, (_, index) =>
      execa(process.execPath, ['--input-type=module', '-e', SCRIPT, folder, cwd, `stage ${index}`], {
        reject: false,
      }),
    );
    await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
    for (const child of children) child.stdin.end();
    for (const { exitCode, stderr } of await Promise.all(children))
      expect([exitCode, stderr]).toEqual([0, '']);
    const store = openStore(cwd);
    const runs = allRuns(store);
    expect(runs.map(({ stage, status }) => [stage, status]).sort()).toEqual(
      Array.from({ length: PROCESSES }, (_, index) => [`stage ${index}`, 'completed']),
    );
    for (const { id, stage } of runs) {
      expect(metricsOf(store, id, 'loss').map(({ step }) => step)).toEqual(
        Array.from({ length: FLUSHES * STEPS }, (_, index) => index + 1),
      );
      expect(checkpointsOf(store, id).map(({ sha256 }) => sha256)).toEqual(Array(FLUSHES).fill(stage));
      expect(systemMetricsOf(store, id)).toHaveLength(FLUSHES);
    }
    expect(store.database.pragma('integrity_check', { simple: true })).toBe('ok');
    store.close();
  });
});

describe('a store that another program keeps locked', () => {
  const busy = (work: () => unknown): HndsrError => {
    try {
      work();
    } catch (error) {
      expect(error).toBeInstanceOf(HndsrError);
      return error as HndsrError;
    }
    throw new Error('was not refused');
  };

  it('is refused after the wait, by file, with what to do', () => {
    const store = openStore(cwd, 100);
    const other = new Database(storePath(cwd));
    other.exec('BEGIN IMMEDIATE');
    const error = busy(() => store.write(() => store.database.exec('DELETE FROM runs')));
    expect([error.code, error.exitCode]).toEqual(['STORE_BUSY', 1]);
    expect(error.message).toBe(
      `${storePath(cwd)} is locked: another program has kept it for writing for over 0.1 s`,
    );
    expect(error.hint).toContain(`fuser ${storePath(cwd)}`);
    // What is there can be read all the same.
    expect(allRuns(store)).toEqual([]);
    other.exec('ROLLBACK');
    store.write(() => store.database.exec('DELETE FROM runs'));
    store.close();
    other.close();
  });

  it('is refused when it is opened for the first time, too', () => {
    openStore(cwd).close();
    const other = new Database(storePath(cwd));
    other.pragma('user_version = 0');
    other.exec('BEGIN IMMEDIATE');
    expect(busy(() => openStore(cwd, 100)).code).toBe('STORE_BUSY');
    other.close();
  });

  it('cannot come between what a change reads and what it writes', () => {
    const store = openStore(cwd);
    const other = new Database(storePath(cwd), { timeout: 0 });
    store.write(() => {
      expect(allRuns(store)).toEqual([]);
      expect(() => other.exec('BEGIN IMMEDIATE')).toThrow(/locked/);
    });
    other.exec('BEGIN IMMEDIATE; ROLLBACK');
    other.close();
    store.close();
  });

  it('passes on what the change itself throws', () => {
    const store = openStore(cwd);
    const own = new HndsrError('USAGE', 'own');
    expect(
      busy(() =>
        store.write(() => {
          throw own;
        }),
      ),
    ).toBe(own);
    store.close();
  });
});
