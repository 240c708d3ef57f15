import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parseDocument } from 'yaml';
import { Random } from '../../src/random.js';
import { encodePng } from '../../src/raster/image.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const PROGRAM = join(ROOT, 'bin', 'hndsr.js');

/** Numbers that make the whole job a matter of seconds, and gates that so small a model can meet. */
const TINY: [string[], unknown][] = [
  [['data', 'split', 'method'], 'source'],
  [['data', 'split', 'validation'], 0.25],
  [['data', 'split', 'test'], 0.25],
  [['model', 'autoencoder'], { width: 8, blocks: 1, latent_channels: 4 }],
  [['model', 'neural_operator'], { width: 8, blocks: 1, modes: 2, amplification_width: 4 }],
  [['model', 'diffusion', 'width'], 8],
  [['model', 'diffusion', 'timesteps'], 50],
  [['training', 'crop'], 32],
  [['training', 'batch'], 2],
  ...['autoencoder', 'neural_operator', 'diffusion'].flatMap((stage): [string[], unknown][] => [
    [['training', stage, 'epochs'], 2],
    [['training', stage, 'steps_per_epoch'], 3],
    [['training', stage, 'warmup_steps'], 1],
  ]),
  [['sampling', 'steps'], 2],
  [['upscale', 'batch'], 4],
  [['registry', 'gates', 'production'], { metrics: { psnr: { min: 5 } } }],
];

/** A project of 16 generated scenes of 48x48, as `hndsr init` lays one out. */
export async function makeTinyProject(): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'hndsr-tiny-'));
  const params = parseDocument(readFileSync(join(ROOT, 'params.yaml'), 'utf8'));
  for (const [path, value] of TINY) params.setIn(path, value);
  writeFileSync(join(cwd, 'params.yaml'), params.toString());
  writeFileSync(join(cwd, 'pipeline.yaml'), readFileSync(join(ROOT, 'pipeline.yaml')));
  mkdirSync(join(cwd, 'data', 'raw'), { recursive: true });
  for (let index = 0; index < 16; index++) {
    writeFileSync(join(cwd, 'data', 'raw', `scene${index}.png`), await scene(index));
  }
  return cwd;
}

/** Smooth waves with a few hard edges. */
function scene(index: number): Promise<Uint8Array> {
  const [width, height] = [48, 48];
  const random = Random.from(index, 'scene');
  const [a, b, c] = [random.uniform(), random.uniform(), random.integer(40)];
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const wave = 100 + 60 * Math.sin(a * x + b * y) + (x > c ? 40 : 0);
    for (let band = 0; band < 3; band++) data[pixel * 3 + band] = wave + 10 * band;
  }
  return encodePng({ width, height, bands: 3, data });
}

export interface Result {
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** Runs the command line as a process of its own. */
export async function hndsr(cwd: string, ...words: string[]): Promise<Result> {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [PROGRAM, '-C', cwd, ...words], {
    reject: false,
    env: { CI: 'true' },
  });
  return { code: exitCode, stdout, stderr };
}

/** Every file below a folder that a crash could have left behind. */
export function temporaryFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.tmp'));
}

/** Every command, in the order of the work, so that each example finds what the one before it made. */
export const VERBS = [
  'init',
  'etl',
  'data',
  'train',
  'evaluate',
  'runs',
  'registry',
  'upscale',
  'inspect',
  'jobs',
  'export',
  'repro',
  'status',
  'explain',
  'dag',
  'params',
  'metrics',
  'plots',
  'push',
  'fetch',
  'pull',
  'gc',
  'doctor',
  'bench',
];
