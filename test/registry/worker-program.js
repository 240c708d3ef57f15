/**
 * One of many processes that use a registry at once, on the compiled code: makes models with the runs that wrote them,
 * registers each, promotes some to production, rolls back now and then, reads in between, and prints one line of JSON
 * for each change once it is committed.
 *
 *   node worker-program.js PROJECT NAME SECONDS DATASET_FINGERPRINT
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadParams } from '../../dist/config/params.js';
import { encodeSafetensors } from '../../dist/models/safetensors.js';
import { history } from '../../dist/registry/history.js';
import { lineage } from '../../dist/registry/lineage.js';
import { promote } from '../../dist/registry/promote.js';
import { register } from '../../dist/registry/register.js';
import { rollback } from '../../dist/registry/rollback.js';
import { list, show } from '../../dist/registry/versions.js';
import { finishRun, recordCheckpoint, startRun } from '../../dist/store/runs.js';
import { openStore } from '../../dist/store/store.js';

const [cwd, name, seconds, datasetFingerprint] = process.argv.slice(2);
const STAGES = ['autoencoder', 'neural-operator', 'diffusion'];
const params = loadParams(cwd);
const who = { cwd, params, actor: name, reason: null, gitCommit: null, gitDirty: null };

/** The files of a new model in a folder of its own. */
function makeModel(index) {
  const folder = join('models', name, String(index));
  mkdirSync(join(cwd, folder), { recursive: true });
  const checkpoints = {};
  const store = openStore(cwd);
  for (const stage of STAGES) {
    const bytes = encodeSafetensors({
      tensors: { weights: { shape: [16], data: new Float32Array(16) } },
      metadata: {
        stage,
        scale: '4',
        dataset_fingerprint: datasetFingerprint,
        nonce: randomBytes(8).toString('hex'),
        trained_on: JSON.stringify(checkpoints),
      },
    });
    const path = join(cwd, folder, `${stage}.safetensors`);
    writeFileSync(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const run = startRun(store, {
      ...{
        stage,
        seed: 1,
        engine: 'onnx',
        device: 'cpu',
        engineReason: 'test',
        params: {},
        datasetFingerprint,
      },
      ...{ codeVersion: '0', versions: {}, gitCommit: null, gitDirty: null, resumedFrom: null },
    });
    recordCheckpoint(store, run, { path, sha256, step: 1, kind: 'best' });
    finishRun(store, run, 'completed', { path, sha256 });
    checkpoints[stage] = sha256;
  }
  store.close();
  const scores = (model, bicubic) => ({ model, operator: model, bicubic });
  const measured = { psnr: scores(31, 30), ssim: scores(0.9, 0.8), lpips: null };
  const facts = { scale: 4, datasetFingerprint, checkpoints, codeVersion: '0' };
  writeFileSync(join(cwd, folder, 'metrics.json'), JSON.stringify({ ...measured, ...facts }));
  const tiles = ['a', 'b', 'c'].map((id) => ({ id, ...measured }));
  writeFileSync(join(cwd, folder, 'tiles.json'), JSON.stringify(tiles));
  return {
    source: { kind: 'files', paths: STAGES.map((stage) => join(folder, `${stage}.safetensors`)) },
    metricsFile: join(folder, 'metrics.json'),
  };
}

/** What other processes may lawfully have made impossible in the meantime. */
const EXPECTED = new Set(['PROMOTION_NOT_ALLOWED', 'VERSION_MISSING']);

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!EXPECTED.has(error.code)) throw error;
    return undefined;
  }
}

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const end = performance.now() + Number(seconds) * 1000;
for (let index = 0; performance.now() < end; index++) {
  const { version } = await register({ ...who, ...makeModel(index), existing: 'refuse' });
  tell({ registered: version.version });
  if (await attempt(() => promote({ ...who, version: version.version, to: 'production' }))) {
    tell({ promoted: version.version });
  }
  if (index % 3 === 2) {
    const back = await attempt(() => rollback(who));
    if (back !== undefined) tell({ restored: back.restored, rolledBack: back.rolledBack });
  }
  list(cwd);
  lineage(cwd, 'latest');
  await attempt(() => show(cwd, 'production'));
  history(cwd, version.version);
}
