import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HndsrEvent } from '../../src/events.js';
import { startRun } from '../../src/store/runs.js';
import { openStore, type Store } from '../../src/store/store.js';
import { systemMetricsOf } from '../../src/store/system-metrics.js';
import { SystemSampler } from '../../src/training/system-sampler.js';

let cwd: string;
let store: Store;
let run: number;
let events: HndsrEvent[];
const emit = (event: HndsrEvent): void => void events.push(event);

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-sampler-'));
  store = openStore(cwd, 1);
  events = [];
  run = startRun(store, {
    stage: 'autoencoder',
    seed: 1,
    engine: 'onnx',
    device: 'cpu',
    engineReason: 'test',
    params: {},
    datasetFingerprint: 'd',
    codeVersion: '0',
    versions: {},
    gitCommit: null,
    gitDirty: null,
    resumedFrom: null,
  });
});
afterEach(() => {
  store.close();
  rmSync(cwd, { recursive: true, force: true });
});

/** Keeps a core busy for some milliseconds of processor time. */
function compute(milliseconds: number): void {
  const began = process.cpuUsage();
  while (process.cpuUsage(began).user < milliseconds * 1000);
}

describe('the sampler of system metrics', () => {
  it('has the first and the last moment even of a run that ends at once', () => {
    const sampler = SystemSampler.start(store, run, emit);
    compute(50);
    sampler.stop();
    const [first, last, ...more] = systemMetricsOf(store, run);
    expect(more).toEqual([]);
    expect(first!.cpuSeconds).toBeLessThan(0.05);
    expect(last!.cpuSeconds).toBeGreaterThanOrEqual(0.05);
    for (const { residentBytes, freeBytes, systemLoad } of [first!, last!]) {
      expect(residentBytes).toBeGreaterThan(10e6);
      expect(freeBytes).toBeGreaterThan(0);
      expect(freeBytes).toBeLessThan(totalmem());
      expect(systemLoad).toBeGreaterThanOrEqual(0);
    }
  });

  it('samples between the steps, and no more once it is stopped', async () => {
    const sampler = SystemSampler.start(store, run, emit, 5);
    await expect.poll(() => systemMetricsOf(store, run).length).toBeGreaterThan(4);
    sampler.stop();
    const samples = systemMetricsOf(store, run);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(systemMetricsOf(store, run)).toEqual(samples);
    const spent = samples.map(({ cpuSeconds }) => cpuSeconds);
    expect(spent).toEqual(spent.toSorted((a, b) => a - b));
  });

  it('never ends a training: while the store refuses, it warns once and keeps its samples', async () => {
    const other = openStore(cwd);
    other.database.exec('BEGIN IMMEDIATE');
    const sampler = SystemSampler.start(store, run, emit, 5);
    await expect.poll(() => events.length).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(events).toEqual([
      {
        kind: 'message',
        level: 'warning',
        text: expect.stringMatching(
          /^system metrics of run 1 are not written for now: .*hndsr\.db is locked/,
        ),
      },
    ]);
    expect(systemMetricsOf(store, run)).toEqual([]);
    other.database.exec('ROLLBACK');
    other.close();
    sampler.stop();
    expect(systemMetricsOf(store, run).length).toBeGreaterThan(1);
  });
});
