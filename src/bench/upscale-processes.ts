import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { HostTensor } from '../compute/engine.js';
import { defaultParams, type Params } from '../config/params.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { writeCheckpoint } from '../models/checkpoint.js';
import { STAGES, type Stage } from '../models/hndsr.js';
import type { Percentiles } from '../percentiles.js';
import { Random } from '../random.js';
import { loadSharp } from '../raster/load-sharp.js';
import { storeObject } from '../store/objects.js';
import { openStore } from '../store/store.js';
import { insertVersion } from '../store/versions.js';
import { packageVersion } from '../version.js';
import { randomModel } from './upscale.js';

const PROGRAM = fileURLToPath(new URL('../../bin/hndsr.js', import.meta.url));
const SCALE = 4;

/** One whole process of `hndsr upscale`, from its start to its end. */
export interface ProcessRow {
  /** Million pixels of the output. */
  mpixels: number;
  /** 0: strength 0. */
  steps: number;
  seconds: number;
  /** Of all processors: what is left of the time where others want them, too. */
  cpuSeconds: number;
  mpixelsPerSecond: number;
  peakBytes: number;
  /** Milliseconds of one, as of `hndsr upscale`; `operator` has the encoding in it. */
  phases: Record<string, Percentiles & { seconds: number; count: number }>;
}

/** What is run: strength 0 and the sampler on one size, then larger ones at strength 0 for the memory that they take. */
const FIRST_MPIXELS = 1;
const STEPS = [0, 10, 50];

/**
 * Times `hndsr upscale` as a user runs it, on generated scenes with a model of random weights in a project of its own.
 * @param largest million pixels of the largest output; 16 and 256 are run where they are no larger
 */
export async function benchProcesses(largest: number, context: JobContext): Promise<ProcessRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-bench-'));
  try {
    const params = defaultParams();
    await writeFile(join(folder, 'params.yaml'), await shippedParams());
    await registerRandom(folder, params);
    const rows: ProcessRow[] = [];
    const work = [
      ...STEPS.map((steps) => ({ mpixels: FIRST_MPIXELS, steps })),
      ...[16, 256].filter((mpixels) => mpixels <= largest).map((mpixels) => ({ mpixels, steps: 0 })),
    ];
    for (const { mpixels, steps } of work) {
      if (context.interrupted()) throw interruptedError('the benchmark');
      rows.push(await timeProcess(folder, mpixels, steps));
      context.emit({ kind: 'message', level: 'info', text: describeRow(rows.at(-1)!) });
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function describeRow(row: ProcessRow): string {
  const { mpixels, steps, seconds, cpuSeconds, mpixelsPerSecond, peakBytes } = row;
  const how = steps === 0 ? 'strength 0' : `${steps} steps`;
  return (
    `${String(mpixels).padStart(4)} Mpx, ${how.padEnd(10)}  ${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} of processors)  ` +
    `${mpixelsPerSecond.toFixed(3)} Mpx/s  ${(peakBytes / 2 ** 20).toFixed(0)} MiB`
  );
}

async function timeProcess(folder: string, mpixels: number, steps: number): Promise<ProcessRow> {
  const side = Math.round(Math.sqrt(mpixels * 1e6) / SCALE);
  const name = `scene-${side}.tif`;
  await writeFile(join(folder, name), await scene(side));
  const sampling = steps === 0 ? ['--strength', '0'] : ['--strength', '1', '--steps', String(steps)];
  const words = ['upscale', name, '-o', `out-${mpixels}-${steps}.tif`, '--model', '1', '--json', '--quiet'];
  const began = performance.now();
  const { stdout } = await execa(process.execPath, [PROGRAM, '-C', folder, ...words, ...sampling]);
  const seconds = (performance.now() - began) / 1000;
  const report = JSON.parse(stdout) as Pick<ProcessRow, 'phases' | 'peakBytes' | 'cpuSeconds'>;
  const pixels = (side * SCALE) ** 2 / 1e6;
  return {
    ...{ mpixels, steps, seconds, mpixelsPerSecond: pixels / seconds },
    ...{ cpuSeconds: report.cpuSeconds, peakBytes: report.peakBytes, phases: report.phases },
  };
}

/** Clouds of noise, as a tiled TIFF file of 8 bits. */
async function scene(side: number): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const random = Random.from(0, 'bench', 'scene');
  const small = Math.max(2, side >> 3);
  const noise = Uint8Array.from({ length: small * small * 3 }, () => 64 + random.integer(128));
  return sharp(noise, { raw: { width: small, height: small, channels: 3 } })
    .resize(side, side, { kernel: 'cubic' })
    .tiff({ tile: true, tileWidth: 256, tileHeight: 256, compression: 'deflate' })
    .toBuffer();
}

async function shippedParams(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(new URL('../../params.yaml', import.meta.url), 'utf8');
}

async function registerRandom(folder: string, params: Params): Promise<void> {
  const tensors = randomModel(params.model);
  const trainedOn: Partial<Record<Stage, string>> = {};
  const artifacts: { role: string; sha256: string; size: number }[] = [];
  for (const stage of STAGES) {
    const path = join(folder, `${stage}.safetensors`);
    const metadata = {
      ...{ stage, model: params.model, crop: params.training.crop, scale: SCALE, seed: 0, step: 0 },
      dataset_fingerprint: 'none: random weights, for hndsr bench',
      code_version: packageVersion(),
      metrics: {},
      trained_on: { ...trainedOn },
    };
    trainedOn[stage] = await writeCheckpoint(path, metadata, ofStage(tensors, stage));
    artifacts.push({ role: stage, ...(await storeObject(folder, path)) });
  }
  const none = { model: 0, operator: 0, bicubic: 0 };
  const store = openStore(folder);
  insertVersion(store, {
    ...{ actor: 'hndsr bench', scale: SCALE, metrics: { psnr: none, ssim: none, lpips: null } },
    ...{ datasetFingerprint: 'none', codeVersion: packageVersion(), gitCommit: null, artifacts },
  });
  store.close();
}

function ofStage(tensors: Record<string, HostTensor>, stage: Stage): Record<string, HostTensor> {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(`${stage}/`));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(stage.length + 1), tensor]));
}
