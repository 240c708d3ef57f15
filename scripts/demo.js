/**
 * The whole job on real imagery, in the folder demo/: cuts NASA Blue Marble into tiles, runs every stage of the
 * pipeline, upscales a tile that training never saw, and writes demo/metrics.json.
 *
 *   npm run demo
 *   npm run demo -- --lpips-weights FILE     also measures LPIPS, by weights of the hash in params.yaml
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, setUp } from './setup.js';

const DEMO = join(ROOT, 'demo');

const { values: flags } = parseArgs({ options: { 'lpips-weights': { type: 'string' } } });
setUp();
const began = performance.now();
await prepare();
hndsr('repro');
const upscaled = await upscaleUnseenTile();
const metrics = summarise((performance.now() - began) / 1000);
print(metrics, upscaled);

/** The project folder with its tiles; what is there already stays, so that a second run has nothing to do. */
async function prepare() {
  if (!existsSync(join(DEMO, 'params.yaml'))) hndsr('init');
  if (!existsSync(join(DEMO, 'data', 'raw', 'tiles.csv'))) {
    const script = join(ROOT, 'scripts', 'blue-marble.js');
    execFileSync(process.execPath, [script, join(DEMO, 'data', 'raw')], { stdio: 'inherit' });
  }
  if (flags['lpips-weights'] !== undefined) await measureLpips(resolve(flags['lpips-weights']));
}

/** Names the weights in demo/params.yaml, which keeps its comments. */
async function measureLpips(weights) {
  const { parseDocument } = await import('yaml');
  const path = join(DEMO, 'params.yaml');
  const params = parseDocument(readFileSync(path, 'utf8'));
  if (params.getIn(['evaluation', 'lpips', 'weights']) === weights) return;
  params.setIn(['evaluation', 'lpips', 'weights'], weights);
  writeWhole(path, params.toString());
}

function hndsr(...words) {
  const { status } = spawnSync(process.execPath, [join(ROOT, 'bin', 'hndsr.js'), '-C', DEMO, ...words], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}

function readJson(...path) {
  return JSON.parse(readFileSync(join(DEMO, ...path), 'utf8'));
}

function writeWhole(path, text) {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

/** Upscales the low-resolution copy of the first test tile by the version in production. */
async function upscaleUnseenTile() {
  const { lowResolutionPath } = await import('../dist/raster/dataset.js');
  const processed = join(DEMO, 'data', 'processed');
  const manifest = readJson('data', 'processed', 'manifest.json');
  const tile = manifest.tiles.find(({ split }) => split === 'test');
  const output = join(DEMO, 'upscaled.png');
  hndsr(
    'upscale',
    join(processed, lowResolutionPath(tile, manifest.scale)),
    '-o',
    output,
    '--scale',
    String(manifest.scale),
    '--overwrite',
  );
  return output;
}

function summarise(seconds) {
  const { psnr, ssim, lpips, images } = readJson('reports', 'evaluation', 'metrics.json');
  const { version } = readJson('reports', 'registry.json');
  const metrics = { psnr, ssim, lpips, images, seconds: Number(seconds.toFixed(1)), version };
  writeWhole(join(DEMO, 'metrics.json'), `${JSON.stringify(metrics, null, 2)}\n`);
  return metrics;
}

function print(metrics, upscaled) {
  const row = (name, scores, digits) => {
    const numbers = ['model', 'operator', 'bicubic'].map((key) =>
      (scores === null ? 'not measured' : scores[key].toFixed(digits)).padStart(14),
    );
    console.log(name.padEnd(24) + numbers.join(''));
  };
  console.log(
    `\n${'x4, held-out blocks'.padEnd(24)}${['model', 'operator', 'bicubic'].map((name) => name.padStart(14)).join('')}`,
  );
  row('PSNR, dB', metrics.psnr, 2);
  row('SSIM', metrics.ssim, 4);
  row('LPIPS (squeeze, v0.1)', metrics.lpips, 4);
  console.log(`
version ${metrics.version} is in production; ${metrics.images} tiles; ${metrics.seconds} s
report          ${join(DEMO, 'reports', 'evaluation', 'report.md')}
picture         ${join(DEMO, 'reports', 'evaluation', 'panel.png')}
upscaled image  ${upscaled}
metrics         ${join(DEMO, 'metrics.json')}`);
}
