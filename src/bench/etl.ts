import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadParams } from '../config/params.js';
import { runEtl } from '../data/etl.js';
import type { JobContext } from '../events.js';
// Loaded before the clock starts, as what it is compared to has loaded its libraries.
import '../data/build-dataset.js';

export interface EtlBenchOptions {
  cwd: string;
  /** In place of `data.input` of the project. */
  input?: string;
  /** Of the low-resolution tiles; the first is the dataset's own. */
  scales: readonly number[];
  jobs?: number;
}

export interface EtlBenchResult {
  images: number;
  seconds: number;
  imagesPerSecond: number;
}

const PARAMS = fileURLToPath(new URL('../../params.yaml', import.meta.url));

/**
 * Times the whole of `hndsr etl` on a folder of images, from nothing, into a temporary folder that is removed. It is
 * split by image, so that no coordinates are needed, with some in each split however few there are.
 */
export async function benchEtl(options: EtlBenchOptions, context: JobContext): Promise<EtlBenchResult> {
  const { cwd, scales, jobs } = options;
  const input = resolve(cwd, options.input ?? loadParams(cwd).data.input);
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-bench-'));
  try {
    await copyFile(PARAMS, join(folder, 'params.yaml'));
    const overrides = [
      `data.scale=${scales[0]}`,
      `data.scales=[${scales.join(', ')}]`,
      'data.split.method=stratified',
      'training.crop=16',
      'data.split.validation=0.1',
      'data.split.test=0.1',
    ];
    const began = performance.now();
    const { images } = await runEtl(
      { cwd: folder, input, output: 'dataset', threads: jobs, overrides },
      { ...context, emit: (event) => void (event.kind === 'progress' && context.emit(event)) },
    );
    const seconds = (performance.now() - began) / 1000;
    return { images: images.total, seconds, imagesPerSecond: images.total / seconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
