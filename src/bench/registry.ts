import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultParams } from '../config/params.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { Random } from '../random.js';
import { history } from '../registry/history.js';
import { lineage, uses } from '../registry/lineage.js';
import { promote } from '../registry/promote.js';
import { list, show } from '../registry/versions.js';
import { recordDataset } from '../store/datasets.js';
import { storeObject } from '../store/objects.js';
import { recordMetrics, startRun } from '../store/runs.js';
import { openStore, type Store } from '../store/store.js';
import { insertTileScores } from '../store/tile-scores.js';
import { recordEvent } from '../store/version-events.js';
import { type Artifact, insertVersion } from '../store/versions.js';
import { median } from './timing.js';

export interface RegistryBenchOptions {
  /** How many versions there are. */
  versions: number;
  /** How many rows of metrics their runs have, and about as many their tiles. */
  metrics: number;
  /** How often each call is timed. */
  runs: number;
}

export interface RegistryBenchResult {
  versions: number;
  metrics: number;
  databaseBytes: number;
  /** Of whole calls, opening the database included. */
  calls: { call: string; medianMs: number; worstMs: number }[];
}

const STAGES = ['autoencoder', 'neural-operator', 'diffusion'] as const;
const TILES = 50;
const SOURCES = 1000;
const BATCH = 100;
const FINGERPRINT = 'd'.repeat(64);
const commitOf = (version: number): string => version.toString(16).padStart(40, 'c');
const ACTOR = 'bench';

/** As large as those of a real run. */
const PARAMS = defaultParams();

/** Times what people and pipelines ask of a registry, on one that years of work have filled, in a temporary folder. */
export async function benchRegistry(
  options: RegistryBenchOptions,
  context: JobContext,
): Promise<RegistryBenchResult> {
  const { versions, metrics, runs } = options;
  const cwd = await mkdtemp(join(tmpdir(), 'hndsr-bench-'));
  try {
    const artifacts = await storeArtifacts(cwd);
    const databaseBytes = fill(cwd, artifacts, options, context);
    const calls: RegistryBenchResult['calls'] = [];
    const time = async (call: string, work: (index: number) => unknown): Promise<void> => {
      const times: number[] = [];
      for (let index = 0; index < runs; index++) {
        const began = performance.now();
        await work(index);
        times.push(performance.now() - began);
      }
      calls.push({ call, medianMs: median(times), worstMs: Math.max(...times) });
    };
    await time('promote', (index) =>
      promote({
        cwd,
        version: versions - index,
        to: 'production',
        actor: ACTOR,
        reason: null,
        params: PARAMS,
      }),
    );
    await time('list', () => list(cwd));
    await time('show', () => show(cwd, 'production'));
    await time('lineage', () => lineage(cwd, 'production'));
    await time('history', () => history(cwd, 'production'));
    await time('uses', () => uses(cwd, 'commit', commitOf(1)));
    return { versions, metrics, databaseBytes, calls };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

/** The files that all versions share. */
async function storeArtifacts(cwd: string): Promise<Artifact[]> {
  const path = join(cwd, 'weights');
  const artifacts: Artifact[] = [];
  for (const role of STAGES) {
    await writeFile(path, randomBytes(1000));
    artifacts.push({ role, ...(await storeObject(cwd, path)) });
  }
  return artifacts;
}

/** @returns the size of the database in bytes */
function fill(
  cwd: string,
  artifacts: readonly Artifact[],
  { versions, metrics }: RegistryBenchOptions,
  context: JobContext,
): number {
  const store = openStore(cwd);
  try {
    // What is not kept need not survive a power cut.
    store.database.pragma('synchronous = OFF');
    store.write(() => recordSources(store));
    const steps = Math.ceil(metrics / (versions * STAGES.length));
    for (let from = 0; from < versions; from += BATCH) {
      if (context.interrupted()) throw interruptedError('the benchmark');
      const upTo = Math.min(from + BATCH, versions);
      const runs = Array.from({ length: upTo - from }, (_, index) => addRuns(store, from + index, steps));
      store.write(() => {
        for (const own of runs) addVersion(store, artifacts, own);
      });
      context.emit({ kind: 'progress', task: 'filling a registry', done: upTo, total: versions });
    }
    // Else the first change that is timed would write all of this into the database.
    store.database.pragma('wal_checkpoint(TRUNCATE)');
    const [pages, size] = ['page_count', 'page_size'].map(
      (name) => store.database.pragma(name, { simple: true }) as number,
    );
    return pages! * size!;
  } finally {
    store.close();
  }
}

function recordSources(store: Store): void {
  const sources = Array.from({ length: SOURCES }, (_, index) => ({
    path: `scenes/${index}.tif`,
    sha256: index.toString(16).padStart(64, '0'),
  }));
  const dataset = { fingerprint: FINGERPRINT, scale: 4, counts: { test: TILES }, settings: {} };
  recordDataset(store, dataset, sources);
}

/** The runs of one version, at a commit of their own. */
function addRuns(store: Store, version: number, steps: number): number[] {
  return STAGES.map((stage) => {
    const run = startRun(store, {
      ...{ stage, seed: 1, engine: 'onnx', device: 'cpu', engineReason: 'bench', params: PARAMS },
      ...{ datasetFingerprint: FINGERPRINT, codeVersion: '0', versions: {}, resumedFrom: null },
      ...{ gitCommit: commitOf(version), gitDirty: false },
    });
    const values = Array.from({ length: steps }, (_, step) => ({ step, values: { loss: 1 / (step + 1) } }));
    recordMetrics(store, run, values);
    return run;
  });
}

/** A version whose tiles are about 1 dB better than bicubic. */
function addVersion(store: Store, artifacts: readonly Artifact[], runs: readonly number[]): void {
  // Tiles are as hard for one version as for another; what they gain by it differs.
  const [difficulty, gains] = [Random.from(0, 'bench', 'tiles'), Random.from(runs[0]!, 'bench', 'gains')];
  const tiles = Array.from({ length: TILES }, (_, index) => ({
    tile: `tile-${index}`,
    bicubic: 30 + difficulty.uniform(),
    gain: 1 + 0.01 * gains.uniform(),
  }));
  const scores = tiles.flatMap(({ tile, bicubic, gain }) => [
    { tile, metric: 'psnr', model: bicubic + gain, bicubic },
    { tile, metric: 'ssim', model: 0.01 * (bicubic + gain) + 0.5, bicubic: 0.01 * bicubic + 0.5 },
  ]);
  const means = (metric: string) => {
    const list = scores.filter((one) => one.metric === metric);
    const mean = (of: 'model' | 'bicubic') => list.reduce((sum, one) => sum + one[of], 0) / list.length;
    return { model: mean('model'), operator: mean('model'), bicubic: mean('bicubic') };
  };
  const version = insertVersion(store, {
    ...{ actor: ACTOR, scale: 4, datasetFingerprint: FINGERPRINT, codeVersion: '0', gitCommit: null },
    metrics: { psnr: means('psnr'), ssim: means('ssim'), lpips: null, notes: 'x'.repeat(500) },
    // The role tells apart what would else be the same files.
    artifacts: artifacts.map(({ role, ...file }, index) => ({
      ...file,
      role: `${role}-${runs[0]}`,
      run: runs[index]!,
    })),
  });
  insertTileScores(store, version, scores);
  const event = { version, actor: ACTOR, fromStage: null, toStage: 'dev', reason: null, gates: null };
  recordEvent(store, { ...event, kind: 'registered' });
}
