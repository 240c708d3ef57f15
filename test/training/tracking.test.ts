import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { showRun } from '../../src/runs/show.js';
import { allRuns, checkpointsOf, metricsOf, startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { systemSummaryOf } from '../../src/store/system-metrics.js';
import { StepLog } from '../../src/training/step-log.js';
import { newProject, quickParams } from './project.js';
import { afterStep, attempt } from './runs.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A training as a process of its own. */
function train(cwd: string, stage: string, params = quickParams()) {
  const script = `
    const { trainJob } = await import(process.argv[1]);
    await trainJob(JSON.parse(process.argv[2]), { emit: () => {}, interrupted: () => false });`;
  const module = new URL('../../dist/training/train.js', import.meta.url).href;
  const options = JSON.stringify({ cwd, params, stages: [stage] });
  return execa(process.execPath, ['--input-type=module', '-e', script, module, options]);
}

describe('what a training leaves in the store', () => {
  it('is whole for two that run at once in one project', async () => {
    const cwd = await newProject();
    folders.push(cwd);
    await train(cwd, 'autoencoder');
    await Promise.all([train(cwd, 'neural-operator'), train(cwd, 'autoencoder')]);
    const store = openStore(cwd);
    const runs = allRuns(store);
    expect(runs.map(({ stage }) => stage).sort()).toEqual(['autoencoder', 'autoencoder', 'neural-operator']);
    for (const { id, stage, status, engineReason, versions, checkpoint, resumedFrom } of runs) {
      expect([status, resumedFrom]).toEqual(['completed', null]);
      expect(engineReason).not.toBe('');
      expect(Object.keys(versions)).toEqual(['hndsr', 'node', 'onnxruntime-node', '@tensorflow/tfjs']);
      expect(metricsOf(store, id, 'loss').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
      const system = systemSummaryOf(store, id)!;
      expect(system.samples).toBeGreaterThan(1);
      expect(system.busyCores).toBeGreaterThan(0);
      const written = checkpointsOf(store, id);
      expect(written.findLast(({ kind }) => kind === 'best')!.sha256).toBe(checkpoint!.sha256);
      const last = written.findLast(({ kind }) => kind === 'last')!;
      expect(last.step).toBe(6);
      const bytes = await readFile(join(cwd, 'checkpoints', stage, 'last.safetensors'));
      expect(last.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
    store.close();
  });

  it('is refused to a second training of a stage while the first one runs', async () => {
    const cwd = await newProject();
    folders.push(cwd);
    const first = train(cwd, 'autoencoder', quickParams('training.autoencoder.epochs=400'));
    const store = openStore(cwd);
    await vi.waitUntil(() => allRuns(store).length === 1, { timeout: 60_000 });
    const { error } = await attempt({ cwd, params: quickParams(), stages: ['autoencoder'] });
    expect(error).toMatchObject({
      code: 'STAGE_BUSY',
      message: `autoencoder is being trained already: run 1, process ${first.pid}`,
    });
    first.kill('SIGKILL');
    await first.catch(() => {});
    // Its process is gone: nothing is in the way any more.
    expect((await attempt({ cwd, params: quickParams(), stages: ['autoencoder'] })).error).toBeUndefined();
    store.close();
  });

  it('waits for a store that another program keeps locked, and loses nothing', async () => {
    const cwd = await newProject();
    folders.push(cwd);
    const store = openStore(cwd, 50);
    const texts: string[] = [];
    const run = startRun(store, {
      stage: 'autoencoder',
      seed: 1,
      engine: 'onnx',
      device: 'cpu',
      engineReason: 'a test',
      params: {},
      datasetFingerprint: 'f',
      codeVersion: '0',
      versions: {},
      gitCommit: null,
      gitDirty: null,
      resumedFrom: null,
    });
    const log = new StepLog(store, run, (event) => event.kind === 'message' && texts.push(event.text));
    const other = openStore(cwd);
    other.database.exec('BEGIN IMMEDIATE');
    log.add(1, { loss: 0.5 });
    log.flush();
    log.checkpoint({ path: '/last', sha256: 'a'.repeat(64), step: 1, kind: 'last' });
    other.database.exec('COMMIT');
    expect(texts).toEqual([
      expect.stringMatching(/^training goes on, but what run 1 measures is not written for now: /),
    ]);
    log.add(2, { loss: 0.25 });
    log.flush();
    expect(metricsOf(store, run, 'loss').map(({ value }) => value)).toEqual([0.5, 0.25]);
    expect(checkpointsOf(store, run).map(({ step }) => step)).toEqual([1]);
    other.close();
    store.close();
  });

  it('says of a resumed one which it goes on with, and from which step', async () => {
    const cwd = await newProject();
    folders.push(cwd);
    const options = { cwd, params: quickParams(), stages: ['autoencoder' as const] };
    for (const step of [2, 4]) {
      const { error } = await attempt({ ...options, resume: true }, afterStep(step));
      expect(error?.code).toBe('INTERRUPTED');
    }
    expect((await attempt({ ...options, resume: true })).error).toBeUndefined();
    const store = openStore(cwd);
    expect(
      allRuns(store).map(({ status, resumedFrom, firstStep }) => [status, resumedFrom, firstStep]),
    ).toEqual([
      ['completed', 2, 5],
      ['interrupted', 1, 3],
      ['interrupted', null, 1],
    ]);
    store.close();
    // Its curve is that of the whole training.
    expect(showRun(cwd, 3).loss.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
