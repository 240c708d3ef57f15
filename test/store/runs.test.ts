import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, thisProcess } from '../../src/store/process-identity.js';
import {
  allRuns,
  checkpointsOf,
  getRun,
  latestRun,
  type NewRun,
  recordCheckpoint,
  runOfCheckpoint,
  startRun,
} from '../../src/store/runs.js';
import { openStore, type Store } from '../../src/store/store.js';
import { recordSystemMetrics, systemMetricsOf, systemSummaryOf } from '../../src/store/system-metrics.js';
import { packageVersions } from '../../src/version.js';

let cwd: string;
let store: Store;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-runs-'));
  store = openStore(cwd);
});
afterEach(() => {
  store.close();
  rmSync(cwd, { recursive: true, force: true });
});

const RUN: NewRun = {
  stage: 'autoencoder',
  seed: 1,
  engine: 'onnx',
  device: 'cpu',
  engineReason: 'the only one',
  params: {},
  datasetFingerprint: 'd',
  codeVersion: '0',
  versions: packageVersions(),
  gitCommit: null,
  gitDirty: null,
  resumedFrom: null,
};

describe('a run', () => {
  it('says what it ran on, why, with which versions, and what it goes on with', () => {
    const first = startRun(store, RUN);
    const second = startRun(store, { ...RUN, resumedFrom: first, firstStep: 101 });
    expect(getRun(store, first)).toMatchObject({ firstStep: 1, resumedFrom: null, process: process.pid });
    expect(getRun(store, second)).toMatchObject({
      engine: 'onnx',
      device: 'cpu',
      engineReason: 'the only one',
      resumedFrom: first,
      firstStep: 101,
      versions: {
        hndsr: expect.stringMatching(/^\d+\.\d+\.\d+/),
        node: process.versions.node,
        'onnxruntime-node': expect.stringMatching(/^\d+\.\d+\.\d+/),
        '@tensorflow/tfjs': expect.stringMatching(/^\d+\.\d+\.\d+/),
      },
    });
  });

  it('cannot go on with one that is not there', () => {
    expect(() => startRun(store, { ...RUN, resumedFrom: 7 })).toThrow(/FOREIGN KEY/);
  });

  it('is listed after newer ones, by stage or with all', () => {
    const ids = ['autoencoder', 'diffusion', 'autoencoder'].map((stage) =>
      startRun(store, { ...RUN, stage }),
    );
    expect(allRuns(store).map(({ id }) => id)).toEqual(ids.toReversed());
    expect(allRuns(store, 'autoencoder').map(({ id }) => id)).toEqual([ids[2], ids[0]]);
    expect(latestRun(store)?.id).toBe(ids[2]);
    expect(latestRun(store, 'diffusion')?.id).toBe(ids[1]);
  });

  it('keeps the hash of every checkpoint it wrote, and is found by it', () => {
    const [one, two] = [startRun(store, RUN), startRun(store, RUN)];
    recordCheckpoint(store, one, { path: 'last', sha256: 'a', step: 10, kind: 'last' });
    recordCheckpoint(store, one, { path: 'best', sha256: 'b', step: 10, kind: 'best' });
    recordCheckpoint(store, two, { path: 'last', sha256: 'c', step: 20, kind: 'last' });
    // A training that went back to step 10 writes it again.
    recordCheckpoint(store, one, { path: 'last', sha256: 'd', step: 10, kind: 'last' });
    expect(checkpointsOf(store, one).map(({ kind, sha256, step }) => [step, kind, sha256])).toEqual([
      [10, 'best', 'b'],
      [10, 'last', 'd'],
    ]);
    expect(['b', 'c', 'a'].map((sha256) => runOfCheckpoint(store, sha256))).toEqual([one, two, undefined]);
  });

  it('sums up its system metrics', () => {
    const run = startRun(store, RUN);
    expect(systemSummaryOf(store, run)).toBeUndefined();
    const sample = { at: 1000, cpuSeconds: 0, residentBytes: 5, systemLoad: 1, freeBytes: 9 };
    recordSystemMetrics(store, run, [sample]);
    expect(systemSummaryOf(store, run)).toMatchObject({ samples: 1, busyCores: null });
    const later = { at: 11_000, cpuSeconds: 15, residentBytes: 7, systemLoad: 2, freeBytes: 4 };
    recordSystemMetrics(store, run, [later]);
    expect(systemSummaryOf(store, run)).toEqual({
      samples: 2,
      busyCores: 1.5,
      peakResidentBytes: 7,
      leastFreeBytes: 4,
      peakSystemLoad: 2,
    });
    expect(systemMetricsOf(store, run)).toEqual([sample, later]);
  });
});

describe('the process of a run', () => {
  it('that goes on is alive', () => {
    expect(isAlive(thisProcess())).toBe(true);
    expect(getRun(store, startRun(store, RUN))?.status).toBe('running');
  });

  it('is gone when its number belongs to a process that began at another time', () => {
    const id = startRun(store, RUN);
    store.database.prepare("UPDATE runs SET process_started = 'earlier' WHERE id = ?").run(id);
    expect(getRun(store, id)?.status).toBe('abandoned');
  });

  it('of a run that did not write down when it began is judged by its number', () => {
    expect(isAlive({ ...thisProcess(), started: null })).toBe(true);
    // No process has this number: it is above every limit of Linux and macOS.
    expect(isAlive({ ...thisProcess(), id: 99_999_999, started: null })).toBe(false);
  });

  it('on another machine counts as alive', () => {
    expect(isAlive({ host: 'elsewhere', id: 99_999_999, started: 'once' })).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')(
    'that was killed is gone, though its parent has not waited for it',
    async () => {
      // A shell that never waits for its child leaves it a zombie, which still answers to its number.
      const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 30'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const id = Number(await new Promise((resolve) => shell.stdout.once('data', resolve)));
      await expect.poll(() => isAlive({ ...thisProcess(), id, started: 'once' })).toBe(false);
      await expect.poll(() => isAlive({ ...thisProcess(), id })).toBe(false);
      expect(() => process.kill(id, 0)).not.toThrow();
      shell.kill('SIGKILL');
    },
  );
});
