/**
 * Times hndsr and PyTorch on the same work, in turns, and prints medians and their ratio.
 *
 *   node bench/compare.js train-step PEER.py [--rounds 5] [--threads 2] [--python python3]
 *   node bench/compare.js upscale [--rounds 9] [--threads 2] [--python python3]
 *   node bench/compare.js etl PEER.py DIR [--rounds 7] [--threads 2] [--python python3]
 *
 * PEER.py trains the reference net of src/bench/reference-net.ts and prints its times. For `upscale`, the peer is
 * bench/upscale_torch.py, which first checks that both sides give the same picture. Debian has PyTorch as python3-torch
 * with libopenblas0-pthread. For `etl`, PEER.py takes the folder of images, one for its output and the scales, and
 * prints "seconds N".
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SAMPLER_STEPS = 50;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string', default: 'python3' },
  },
});
const rounds = Number(flags.rounds);
const environment = { ...process.env, OMP_NUM_THREADS: flags.threads };

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const dist = (path) => import(join(ROOT, 'dist', path));

const [what, peer, input] = positionals;
const times = what === 'train-step' ? trainStep() : what === 'etl' ? etl() : await upscale();
const ours = median(times.hndsr);
console.log(`\n${what}, ${flags.threads} threads, ${rounds} rounds, ${cpus()[0].model}`);
for (const [name, values] of Object.entries(times)) {
  const ratio = name === 'hndsr' ? '' : `  hndsr takes ${(ours / median(values)).toFixed(2)} of it`;
  console.log(
    `${name.padEnd(34)} median ${median(values).toFixed(1).padStart(7)} ms  best ${Math.min(...values)
      .toFixed(1)
      .padStart(7)} ms${ratio}`,
  );
}

/** Both sides are processes of their own; each round takes the median of each. */
function trainStep() {
  const found = { hndsr: [], 'PyTorch, nchw': [], 'PyTorch, channels_last': [] };
  for (let round = 0; round < rounds; round++) {
    const command = [
      join(ROOT, 'bin', 'hndsr.js'),
      'bench',
      'train-step',
      '--threads',
      flags.threads,
      '--json',
    ];
    const result = execFileSync(process.execPath, command, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    found.hndsr.push(JSON.parse(result).medianMs);
    const text = execFileSync(flags.python, [peer, flags.threads], { encoding: 'utf8', env: environment });
    for (const [, layout, value] of text.matchAll(/^(\w+): .*median ([\d.]+) ms/gm)) {
      found[`PyTorch, ${layout}`].push(Number(value));
    }
    console.log(
      Object.entries(found)
        .map(([name, values]) => `${name} ${values.at(-1).toFixed(1)} ms`)
        .join('   '),
    );
  }
  return found;
}

/** Both sides are processes of their own, and write a dataset of three scales into a new folder. */
function etl() {
  const scales = '2,4,8';
  const found = { hndsr: [], peer: [] };
  for (let round = 0; round < rounds; round++) {
    const command = [join(ROOT, 'bin', 'hndsr.js'), 'bench', 'etl', '--input', input, '--scales', scales];
    const result = execFileSync(process.execPath, [...command, '--jobs', flags.threads, '--json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { images, seconds } = JSON.parse(result);
    const folder = mkdtempSync(join(tmpdir(), 'hndsr-bench-'));
    const text = execFileSync(flags.python, [peer, input, folder, scales], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    const peerSeconds = Number(/seconds ([\d.]+)/.exec(text)[1]);
    found.hndsr.push((seconds / images) * 1000);
    found.peer.push((peerSeconds / images) * 1000);
    const rate = (taken) => `${(images / taken).toFixed(0)} images/s`;
    console.log(`hndsr ${rate(seconds)}   peer ${rate(peerSeconds)}`);
  }
  return found;
}

/** One process of PyTorch that runs when it is asked to, so that the two take turns run by run. */
async function upscale() {
  const { ComposedModel, benchInputs } = await dist('bench/upscale.js');
  const { GraphEngine } = await dist('compute/graph/engine.js');
  const { defaultParams } = await dist('config/params.js');
  const { model: config, upscale, training } = defaultParams();
  const work = { config, batch: upscale.batch, size: training.crop, samplerSteps: SAMPLER_STEPS };
  const engine = new GraphEngine({ threads: Number(flags.threads) });
  const model = await ComposedModel.compile(engine, work);
  const { upsampled, residual } = benchInputs(work);
  const folder = mkdtempSync(join(tmpdir(), 'hndsr-bench-'));
  const file = join(folder, 'work.safetensors');
  writeFileSync(file, await workOf(work, upsampled, residual, await model.run(upsampled, residual)));
  const python = spawn(flags.python, [join(ROOT, 'bench', 'upscale_torch.py'), file, flags.threads], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: environment,
  });
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the peer ended');
    return value;
  };
  console.log('largest difference', await next(), await next());
  const variants = ['nchw module', 'channels_last module', 'nchw hoisted', 'channels_last hoisted'];
  const found = { hndsr: [], ...Object.fromEntries(variants.map((name) => [`PyTorch, ${name}`, []])) };
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    await model.run(upsampled, residual);
    found.hndsr.push(performance.now() - began);
    for (const name of variants) {
      python.stdin.write(`${name}\n`);
      found[`PyTorch, ${name}`].push(Number(await next()));
    }
  }
  python.stdin.end();
  await engine.dispose();
  rmSync(folder, { recursive: true });
  return found;
}

/** Weights, inputs and answer as the peer reads them. */
async function workOf(work, upsampled, residual, image) {
  const { randomModel } = await dist('bench/upscale.js');
  const { alphaBars } = await dist('models/noise-schedule.js');
  const { encodeSafetensors } = await dist('models/safetensors.js');
  const { samplerSteps } = await dist('models/sampler.js');
  const { fourierBasis, keptFrequencies } = await dist('nn/spectral.js');
  const { modes } = work.config.neural_operator;
  const grid = work.size / 4;
  const basis = fourierBasis(grid, grid, modes);
  const settings = { steps: SAMPLER_STEPS, strength: 1, eta: 0 };
  return encodeSafetensors({
    tensors: {
      ...randomModel(work.config),
      upsampled,
      residual,
      image,
      basis: { shape: basis.shape, data: Float32Array.from(basis.dataSync()) },
    },
    metadata: {
      model: JSON.stringify(work.config),
      steps: JSON.stringify(samplerSteps(alphaBars(work.config.diffusion), settings)),
      kept: JSON.stringify(keptFrequencies(modes).length),
    },
  });
}
