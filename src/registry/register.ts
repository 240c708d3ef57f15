import { join, resolve } from 'node:path';
import { checkpointsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { storeObject } from '../store/objects.js';
import { openStore, type Store } from '../store/store.js';
import {
  type Artifact,
  getVersion,
  insertVersion,
  recordEvent,
  type Version,
  type VersionStage,
  versionWithArtifacts,
} from '../store/versions.js';
import { type Evaluation, readEvaluation } from './evaluation.js';

/** A model is a checkpoint of each of these. */
const ROLES = ['autoencoder', 'neural-operator', 'diffusion'] as const;
type Role = (typeof ROLES)[number];

export interface RegisterOptions {
  cwd: string;
  /** The evaluation's metrics.json. */
  metricsFile: string;
  actor: string;
  gitCommit: string | null;
  /** What to do with files that are registered already: refuse them, or answer with the version that has them. */
  existing: 'refuse' | 'reuse';
}

export interface Registration {
  version: Version;
  created: boolean;
  /** The files were registered before with other metrics, which the version keeps: a version does not change. */
  metricsDiffer: boolean;
}

/**
 * Registers the best checkpoints of the project as a new version in stage dev, with the metrics that they were
 * measured to have. The files are copied into the content-addressed store.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, CHECKPOINT_MISSING, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH,
 * VERSION_DUPLICATE
 */
export async function register(options: RegisterOptions): Promise<Registration> {
  const { cwd } = options;
  const evaluation = readEvaluation(resolve(cwd, options.metricsFile));
  const artifacts: Artifact[] = [];
  for (const role of ROLES) {
    const path = join(checkpointsFolder(cwd, role), 'best.safetensors');
    const stored = await storeObject(cwd, path);
    checkMeasured(role, path, stored.sha256, evaluation);
    artifacts.push({ role, ...stored });
  }
  const store = openStore(cwd);
  try {
    return store.write(() => insertOnce(store, options, evaluation, artifacts));
  } finally {
    store.close();
  }
}

/** Metrics of another model are never registered. */
function checkMeasured(role: Role, path: string, sha256: string, evaluation: Evaluation): void {
  if (evaluation.checkpoints[role] === sha256) return;
  throw new HndsrError(
    'CHECKPOINT_MISMATCH',
    `the metrics were measured on another ${role} checkpoint than ${path}`,
    {
      hint: 'Run `hndsr evaluate` again, then register.',
    },
  );
}

function insertOnce(
  store: Store,
  { actor, gitCommit, existing }: RegisterOptions,
  evaluation: Evaluation,
  artifacts: Artifact[],
): Registration {
  const known = versionWithArtifacts(store, artifacts);
  if (known !== undefined) {
    if (existing === 'reuse') {
      recordRegistration(store, known.version, actor, known.stage, 'registered again');
      return {
        version: known,
        created: false,
        metricsDiffer: !sameScores(known.metrics as Evaluation, evaluation),
      };
    }
    throw new HndsrError(
      'VERSION_DUPLICATE',
      `these checkpoints are registered already, as version ${known.version}`,
      {
        hint: 'Train again for a new version, or add --reuse to be given that one.',
      },
    );
  }
  const number = insertVersion(store, {
    actor,
    gitCommit,
    scale: evaluation.scale,
    metrics: evaluation,
    datasetFingerprint: evaluation.datasetFingerprint,
    codeVersion: evaluation.codeVersion,
    artifacts,
  });
  recordRegistration(store, number, actor, 'dev', null);
  return { version: getVersion(store, number)!, created: true, metricsDiffer: false };
}

function recordRegistration(
  store: Store,
  version: number,
  actor: string,
  stage: VersionStage,
  reason: string | null,
): void {
  recordEvent(store, {
    version,
    actor,
    kind: 'registered',
    fromStage: null,
    toStage: stage,
    reason,
    gates: null,
  });
}

function sameScores(a: Evaluation, b: Evaluation): boolean {
  const scores = ({ psnr, ssim, lpips }: Evaluation): string => JSON.stringify([psnr, ssim, lpips]);
  return scores(a) === scores(b);
}
