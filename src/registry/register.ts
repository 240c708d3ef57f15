import { resolve } from 'node:path';
import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { recordDataset } from '../store/datasets.js';
import { openStore, type Store } from '../store/store.js';
import { insertTileScores, type TileScore } from '../store/tile-scores.js';
import { recordEvent } from '../store/version-events.js';
import { getVersion, insertVersion, type Version, versionWithArtifacts } from '../store/versions.js';
import { type Evaluation, readEvaluation } from './evaluation.js';
import { findLinks, type Links } from './links.js';
import { type ModelFile, type ModelSource, signatureOf, storeModel } from './model-files.js';
import { firstStage } from './stages.js';

export interface RegisterOptions {
  cwd: string;
  params: Params;
  source: ModelSource;
  /** The evaluation's metrics.json; tiles.json lies beside it. */
  metricsFile: string;
  actor: string;
  gitCommit: string | null;
  gitDirty: boolean | null;
  /** For the model card; those of params.yaml unless given. */
  licence?: string;
  intendedUse?: string;
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
 * Registers a model as a new version in the first stage, with the metrics that it was measured to have and links to
 * the runs, the dataset and the commits that it came from. The files are copied into the content-addressed store.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, CHECKPOINT_MISSING, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH,
 * VERSION_DUPLICATE, LINEAGE_BROKEN, RUN_MISSING, USAGE
 */
export async function register(options: RegisterOptions): Promise<Registration> {
  const { cwd, params, source } = options;
  const { evaluation, tiles } = readEvaluation(resolve(cwd, options.metricsFile));
  const store = openStore(cwd);
  try {
    const files = await storeModel(cwd, store, source);
    for (const file of files) checkMeasured(file, evaluation);
    const known = versionWithArtifacts(store, files);
    if (known !== undefined) {
      return store.write(() => answerWith(store, getVersion(store, known.version)!, evaluation, options));
    }
    const links = await findLinks(cwd, store, params, { evaluation, files });
    return store.write(() => insertOnce(store, options, { evaluation, tiles, files, links }));
  } finally {
    store.close();
  }
}

/** Metrics of another model are never registered. */
function checkMeasured({ role, path, sha256 }: ModelFile, evaluation: Evaluation): void {
  if (evaluation.checkpoints[role] === sha256) return;
  throw new HndsrError(
    'CHECKPOINT_MISMATCH',
    `the metrics were measured on another ${role} checkpoint than ${path}`,
    {
      hint: 'Run `hndsr evaluate` again, then register.',
    },
  );
}

/** The files are registered: says so, or gives the version that has them. */
function answerWith(
  store: Store,
  known: Version,
  evaluation: Evaluation,
  { existing, actor }: RegisterOptions,
): Registration {
  if (existing === 'refuse') {
    throw new HndsrError(
      'VERSION_DUPLICATE',
      `these checkpoints are registered already, as version ${known.version}`,
      { hint: 'Train again for a new version, or add --reuse to be given that one.' },
    );
  }
  recordRegistration(store, known.version, actor, known.stage, known.stage, 'registered again');
  return {
    version: known,
    created: false,
    metricsDiffer: !sameScores(known.metrics as Evaluation, evaluation),
  };
}

interface Findings {
  evaluation: Evaluation;
  tiles: TileScore[];
  files: ModelFile[];
  links: Links;
}

function insertOnce(
  store: Store,
  options: RegisterOptions,
  { evaluation, tiles, files, links }: Findings,
): Registration {
  // Another process may have registered them while this one looked for their links.
  const known = versionWithArtifacts(store, files);
  if (known !== undefined) return answerWith(store, known, evaluation, options);
  const { actor, params, gitCommit, gitDirty } = options;
  const { card, stages } = params.registry;
  if (links.sources !== undefined) recordDataset(store, links.dataset, links.sources, true);
  const number = insertVersion(store, {
    ...{ actor, gitCommit, gitDirty },
    stage: firstStage(stages),
    scale: evaluation.scale,
    metrics: evaluation,
    datasetFingerprint: evaluation.datasetFingerprint,
    codeVersion: evaluation.codeVersion,
    licence: options.licence ?? card.licence,
    intendedUse: options.intendedUse ?? card.intended_use,
    signature: signatureOf(files, links.dataset.settings),
    artifacts: files.map(({ role, sha256, size }) => ({ role, sha256, size, run: links.runs.get(role)! })),
  });
  insertTileScores(store, number, tiles);
  recordRegistration(store, number, actor, null, firstStage(stages), null);
  return { version: getVersion(store, number)!, created: true, metricsDiffer: false };
}

function recordRegistration(
  store: Store,
  version: number,
  actor: string,
  fromStage: string | null,
  toStage: string,
  reason: string | null,
): void {
  recordEvent(store, { version, actor, kind: 'registered', fromStage, toStage, reason, gates: null });
}

function sameScores(a: Evaluation, b: Evaluation): boolean {
  const scores = ({ psnr, ssim, lpips }: Evaluation): string => JSON.stringify([psnr, ssim, lpips]);
  return scores(a) === scores(b);
}
