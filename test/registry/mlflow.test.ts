import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportMlflow } from '../../src/registry/mlflow/export.js';
import { show } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { recordMetrics } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { PROGRAM } from '../cli/tiny-project.js';
import { type FakeServer, REQUESTS, startServer } from './mlflow-api.js';
import { addVersion, errorOf, makeProject } from './project.js';

const STEPS = 2500;

let cwd: string;
let server: FakeServer;
beforeEach(async () => {
  cwd = makeProject();
  await addVersion(cwd, { psnr: 31 });
  const store = openStore(cwd);
  const steps = Array.from({ length: STEPS }, (_, step) => ({
    step,
    values: { loss: step === 7 ? Number.NaN : 1 / (step + 1) },
  }));
  recordMetrics(store, 1, steps);
  store.close();
  server = await startServer();
});
afterEach(async () => {
  await server.close();
  rmSync(cwd, { recursive: true, force: true });
});

const options = (to: string) => ({ cwd, version: 1, to, experiment: 'hndsr', name: 'hndsr' });
const sent = (path: string) => server.received.filter((one) => one.path === path).map(({ body }) => body);

/** The command as a user runs it; the server is in this process, so it must not be waited for without turning. */
async function hndsr(environment: Record<string, string>, ...words: string[]) {
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [PROGRAM, '-C', cwd, 'registry', ...words],
    {
      ...{ reject: false, env: { CI: 'true', ...environment } },
    },
  );
  return { code: exitCode, stdout, stderr };
}

describe('registry export-mlflow to a tracking server', () => {
  it('writes a run with params, metrics and curves, the files, and a version of a registered model', async () => {
    const secret = { MLFLOW_TRACKING_TOKEN: 'very-secret' };
    const { code, stdout, stderr } = await hndsr(secret, 'export-mlflow', '1', '--to', server.url);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`version 1 is hndsr version 1 at ${server.url}, run run1`);
    expect(stdout + stderr).not.toContain('very-secret');
    expect(server.received.every(({ authorization }) => authorization === 'Bearer very-secret')).toBe(true);
    // Every one fits what is written down of the API, or it would have been refused.
    expect(server.received.map(({ path }) => path)).toEqual([
      'experiments/create',
      'runs/create',
      ...sent('runs/log-batch').map(() => 'runs/log-batch'),
      'registered-models/create',
      'model-versions/create',
      'model-versions/set-tag',
      'runs/update',
    ]);
    const [run] = sent('runs/create');
    expect(run).toMatchObject({ experiment_id: '7', run_name: 'hndsr version 1' });
    expect(run!.tags).toContainEqual({ key: 'hndsr.version', value: '1' });
    const batches = sent('runs/log-batch') as {
      params: object[];
      metrics: { key: string; step: number; value: number }[];
    }[];
    expect(batches.flatMap(({ params }) => params)).toContainEqual({ key: 'seed', value: '7' });
    const metrics = batches.flatMap((batch) => batch.metrics);
    expect(metrics).toContainEqual(expect.objectContaining({ key: 'evaluation/psnr/bicubic' }));
    const loss = metrics.filter(({ key }) => key === 'autoencoder/loss');
    expect(loss).toHaveLength(1000);
    expect([loss[0]!.step, loss.at(-1)!.step]).toEqual([0, STEPS - 1]);
    expect(sent('model-versions/create')[0]).toMatchObject({
      source: 'mlflow-artifacts:/7/run1/artifacts/model',
      run_id: 'run1',
    });
    expect(sent('model-versions/set-tag')[0]).toMatchObject({
      version: '1',
      key: 'hndsr.stage',
      value: 'dev',
    });
    expect(sent('runs/update')[0]).toMatchObject({ run_id: 'run1', status: 'FINISHED' });
    for (const { role, sha256 } of show(cwd, 1).artifacts) {
      const path = `/api/2.0/mlflow-artifacts/artifacts/7/run1/artifacts/model/${role}.safetensors`;
      expect(server.files.get(path)).toEqual(readFileSync(objectPath(cwd, sha256)));
    }
  });

  it('takes an experiment and a model that are there already', async () => {
    const exists = { status: 400, body: { error_code: 'RESOURCE_ALREADY_EXISTS', message: 'it exists' } };
    for (const path of ['experiments/create', 'registered-models/create']) server.answers.set(path, exists);
    await exportMlflow(options(server.url));
    expect(sent('experiments/get-by-name')).toEqual([{ experiment_name: 'hndsr' }]);
    expect(sent('runs/create')[0]).toMatchObject({ experiment_id: '6' });
  });

  it('leaves no run that seems to go on where the server fails, and says what it said', async () => {
    server.answers.set('model-versions/create', {
      status: 500,
      body: { error_code: 'INTERNAL_ERROR', message: 'disk full' },
    });
    const error = await errorOf(exportMlflow(options(server.url)));
    expect(error.message).toBe(
      `${server.url}/api/2.0/mlflow/model-versions/create refuses with 500: disk full`,
    );
    expect(sent('runs/update')).toEqual([expect.objectContaining({ run_id: 'run1', status: 'FAILED' })]);
  });

  it('says how to name oneself where it is denied, and that nothing answers where there is no server', async () => {
    server.answers.set('experiments/create', { status: 401, body: 'who are you?' });
    expect(await errorOf(exportMlflow(options(server.url)))).toMatchObject({
      code: 'INPUT_DENIED',
      hint: expect.stringContaining('MLFLOW_TRACKING_TOKEN'),
    });
    const gone = await startServer();
    await gone.close();
    const error = await errorOf(exportMlflow(options(gone.url)));
    expect([error.code, error.message]).toEqual([
      'INPUT_UNREACHABLE',
      expect.stringContaining(`${gone.url}/api/2.0/mlflow`),
    ]);
  });

  it('says where files are not uploaded, since the server keeps them elsewhere', async () => {
    const elsewhere = await startServer('s3://bucket/7/run1/artifacts');
    const result = await exportMlflow(options(elsewhere.url));
    expect(result.filesUploaded).toBe(false);
    expect(elsewhere.files.size).toBe(0);
    await elsewhere.close();
  });
});

describe('registry export-mlflow to a folder', () => {
  it('writes the same requests, with names where a server gives ids, and the files', async () => {
    const { code, stdout } = await hndsr({}, 'export-mlflow', 'latest', '--to', 'mlflow');
    expect([code, stdout]).toEqual([
      0,
      'version 1 is hndsr version {{model_version}} at mlflow, run {{run_id}}',
    ]);
    await exportMlflow(options(server.url));
    const names = readdirSync(join(cwd, 'mlflow')).filter((name) => name.endsWith('.json'));
    const requests = names.map((name) => JSON.parse(readFileSync(join(cwd, 'mlflow', name), 'utf8')));
    const filled = (body: object): object =>
      JSON.parse(
        JSON.stringify(body)
          .replaceAll('{{experiment_id}}', '7')
          .replaceAll('{{run_id}}', 'run1')
          .replaceAll('{{model_version}}', '1')
          .replaceAll('{{artifact_uri}}', 'mlflow-artifacts:/7/run1/artifacts'),
      );
    expect(
      requests.map(({ path, body }) => ({ path: path.replace('/api/2.0/mlflow/', ''), body: filled(body) })),
    ).toEqual(server.received.map(({ path, body }) => ({ path, body })));
    for (const { path, body } of requests) REQUESTS[path.replace('/api/2.0/mlflow/', '')]!.parse(body);
    expect(readdirSync(join(cwd, 'mlflow', 'artifacts', 'model'))).toHaveLength(3);
    const again = await errorOf(exportMlflow(options('mlflow')));
    expect([again.code, again.message]).toEqual(['OUTPUT_EXISTS', 'the folder mlflow is not empty']);
  });
});
