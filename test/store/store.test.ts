import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
import {
  finishRun,
  getRun,
  latestRun,
  metricsOf,
  type NewRun,
  recordMetrics,
  startRun,
} from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-store-'));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const RUN: NewRun = {
  stage: 'autoencoder',
  seed: 1,
  engine: 'onnx',
  device: 'cpu',
  engineReason: 'the only one',
  params: { batch: 2 },
  datasetFingerprint: 'd',
  codeVersion: '0',
  versions: { hndsr: '0', node: '20' },
  gitCommit: null,
  gitDirty: null,
  resumedFrom: null,
};

describe('runs', () => {
  it('come back as they were written, with their numbers by step', () => {
    const store = openStore(cwd);
    const id = startRun(store, { ...RUN, gitCommit: 'abc', gitDirty: true });
    recordMetrics(store, id, [
      { step: 1, values: { loss: 0.5 } },
      { step: 2, values: { loss: Number.NaN } },
    ]);
    expect(getRun(store, id)).toMatchObject({
      status: 'running',
      params: { batch: 2 },
      gitDirty: true,
      checkpoint: null,
    });
    finishRun(store, id, 'completed', { path: 'p', sha256: 's' });
    store.close();
    const again = openStore(cwd);
    expect(latestRun(again, 'autoencoder')).toMatchObject({
      id,
      status: 'completed',
      checkpoint: { path: 'p', sha256: 's' },
    });
    expect(metricsOf(again, id, 'loss')).toEqual([
      { step: 1, value: 0.5 },
      { step: 2, value: null },
    ]);
    expect(latestRun(again, 'diffusion')).toBeUndefined();
    again.close();
  });

  it('of a process that died are abandoned, not running for ever', () => {
    const store = openStore(cwd);
    const id = startRun(store, RUN);
    // No process has this number: it is above every limit of Linux and macOS.
    store.database.prepare('UPDATE runs SET process = 99999999 WHERE id = ?').run(id);
    expect(getRun(store, id)?.status).toBe('abandoned');
    store.close();
  });
});

describe('the file', () => {
  it('written by a newer hndsr is refused, with what to do', () => {
    openStore(cwd).close();
    const database = new Database(storePath(cwd));
    database.pragma('user_version = 99');
    database.close();
    expect(() => openStore(cwd)).toThrow(/has schema 99, newer than/);
  });

  it('that is no database is refused by name', () => {
    mkdirSync(join(cwd, '.hndsr'));
    writeFileSync(
      storePath(cwd),
      'this is a text file, longer than a header of SQLite needs to be, surely enough by now',
    );
    expect(() => openStore(cwd)).toThrow(/hndsr\.db is not a database of hndsr/);
  });

  it('can be created by several threads at once', async () => {
    const script = `
      const { workerData } = require('node:worker_threads');
      (async () => {
        const { openStore } = await import(workerData.store);
        const { startRun } = await import(workerData.runs);
        const arrived = new Int32Array(workerData.arrived);
        Atomics.add(arrived, 0, 1);
        while (Atomics.load(arrived, 0) < workerData.threads) Atomics.wait(arrived, 1, 0, 1);
        const store = openStore(workerData.cwd);
        for (let count = 0; count < 20; count++) startRun(store, workerData.run);
        store.close();
      })();`;
    const dist = (name: string): string => new URL(`../../dist/store/${name}.js`, import.meta.url).href;
    // All are loaded before any opens the file.
    const [threads, arrived] = [8, new SharedArrayBuffer(8)];
    const workerData = { cwd, run: RUN, store: dist('store'), runs: dist('runs'), threads, arrived };
    const ends = Array.from({ length: threads }, async () => {
      const worker = new Worker(script, { eval: true, workerData });
      return new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve));
    });
    expect(await Promise.all(ends)).toEqual(Array(threads).fill(0));
    const store = openStore(cwd);
    expect(store.database.prepare('SELECT count(*) FROM runs').pluck().get()).toBe(20 * threads);
    store.close();
  });

  it('can be created by several processes at once', async () => {
    const script = `
      const { openStore } = await import(process.argv[1]);
      const { startRun } = await import(process.argv[2]);
      const store = openStore(process.argv[3]);
      for (let count = 0; count < 20; count++) startRun(store, ${JSON.stringify(RUN)});
      store.close();`;
    const dist = (name: string): string => new URL(`../../dist/store/${name}.js`, import.meta.url).href;
    const words = ['--input-type=module', '-e', script, dist('store'), dist('runs'), cwd];
    await Promise.all(Array.from({ length: 6 }, () => execa(process.execPath, words)));
    const store = openStore(cwd);
    expect(store.database.prepare('SELECT count(*) FROM runs').pluck().get()).toBe(120);
    store.close();
  });
});
