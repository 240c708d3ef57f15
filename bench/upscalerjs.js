/**
 * hndsr beside the networks of UpscalerJS (@upscalerjs/esrgan-slim and -medium, x4) on tiles that training never saw:
 * time and PSNR. Their networks run on TensorFlow.js' cpu backend, as UpscalerJS runs them where there is no GPU, and
 * through the graph engine of this project; both give the same picture, which is checked.
 *
 *   node bench/upscalerjs.js PROJECT [--tiles 4]
 *
 * PROJECT is a folder in which `hndsr repro` has run, such as demo/ after `npm run demo`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SCALE = 4;
const SIZES = ['slim', 'medium'];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { tiles: { type: 'string', default: '4' } },
});
const project = positionals[0];
if (project === undefined || !existsSync(join(project, 'data', 'processed', 'manifest.json'))) {
  console.error('usage: node bench/upscalerjs.js PROJECT, a folder in which `hndsr repro` has run');
  process.exit(2);
}
const missing = SIZES.filter((size) => !existsSync(modelPath(size)));
if (missing.length > 0) {
  console.log(`skipped: @upscalerjs/esrgan-${missing.join(', -')} is not installed (npm ci installs it)`);
  process.exit(0);
}

const load = (path) => import(new URL(`../dist/${path}`, import.meta.url));
const tf = await import('@tensorflow/tfjs');
const { GraphEngine } = await load('compute/graph/engine.js');
const { readTrainedModel } = await load('models/checkpoint.js');
const { Predictor } = await load('models/predictor.js');
const { passWindows } = await load('models/scene-pass.js');
const { degrade } = await load('raster/degrade.js');
const { fromUnit, toUnit } = await load('raster/image.js');
const { resizeBicubic } = await load('raster/resample.js');

const tiles = await testTiles(Number(flags.tiles));
const rows = [];
const engine = new GraphEngine();
// What is given up of quality for time: windows that overlap less are fewer.
for (const overlap of [0, 8, 24]) await hndsr(`operator alone, overlap ${overlap}`, { overlap });
await hndsr('strength 0.2 in 6 steps, overlap 24', { strength: 0.2 });
measure('bicubic', 0, await Promise.all(tiles.map(async ({ low }) => bicubic(low))));
for (const size of SIZES) await upscalerjs(size);
await engine.dispose();
print();

function modelPath(size) {
  return join(ROOT, 'node_modules', '@upscalerjs', `esrgan-${size}`, 'models', `x${SCALE}`, 'model.json');
}

/** Truths of the test split, and what they are made of. */
async function testTiles(count) {
  const { openDataset, readHighResolution } = await load('raster/dataset.js');
  const dataset = await openDataset(join(project, 'data', 'processed'));
  const test = dataset.tiles.filter(({ split }) => split === 'test').slice(0, count);
  return Promise.all(
    test.map(async (tile) => {
      const truth = await readHighResolution(dataset, tile);
      const low = degrade(truth, SCALE);
      return { truth, low: { ...low, data: toUnit(low) } };
    }),
  );
}

function bicubic(low) {
  return resizeBicubic(low, low.width * SCALE, low.height * SCALE);
}

async function hndsr(name, { overlap = 24, strength = 0 }) {
  const checkpoints = await readTrainedModel(project);
  const [{ truth }] = tiles;
  const { tops, lefts } = passWindows(truth, checkpoints.diffusion.crop, overlap);
  // `hndsr upscale` fills batches with windows of other images; here a tile's own are one.
  const predictor = await Predictor.create(engine, checkpoints, tops.length * lefts.length);
  const options = { scale: SCALE, seed: 0, overlap, steps: 6, strength, eta: 0, withOperator: false };
  const context = { emit: () => {}, interrupted: () => false };
  const all = async () => {
    const found = [];
    for (const { low } of tiles) found.push((await predictor.predict(low, options, context, name)).model);
    return found;
  };
  await all();
  const began = performance.now();
  const found = await all();
  measure(`hndsr, ${name} (${tops.length * lefts.length} windows)`, performance.now() - began, found);
}

/** Both ways to run one of their networks. */
async function upscalerjs(size) {
  const path = modelPath(size);
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(path, 'utf8'));
  const bytes = Buffer.concat(
    weightsManifest.flatMap(({ paths }) => paths.map((one) => readFileSync(join(path, '..', one)))),
  );
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  await tf.setBackend('cpu');
  const model = await tf.loadLayersModel({
    load: async () => ({ modelTopology, weightSpecs, weightData }),
  });
  const constants = Object.fromEntries(
    Object.entries(tf.io.decodeWeights(weightData, weightSpecs)).map(([name, tensor]) => [
      name,
      { shape: tensor.shape, data: tensor.dataSync() },
    ]),
  );
  const [{ low }] = tiles;
  const program = await engine.compile(forward(modelTopology.model_config.config.layers), {
    inputs: { image: [1, low.height, low.width, 3] },
    constants,
  });
  const run = async (one) =>
    (await program.run({ image: levels(one) })).image.data.map((value) => value / 255);
  await run(low);
  let began = performance.now();
  const byEngine = [];
  for (const tile of tiles) byEngine.push(await run(tile.low));
  measure(`esrgan-${size}, graph engine`, performance.now() - began, byEngine);
  began = performance.now();
  const byCpu = tiles.map((tile) => {
    const { data, shape } = levels(tile.low);
    return tf.tidy(() => model.predict(tf.tensor4d(data, shape)).div(255).dataSync());
  });
  measure(`esrgan-${size}, TensorFlow.js cpu`, performance.now() - began, byCpu);
  const apart = Math.max(
    ...byCpu.map((one, at) => one.reduce((most, v, i) => Math.max(most, Math.abs(v - byEngine[at][i])), 0)),
  );
  if (apart > 1e-3) throw new Error(`esrgan-${size}: the engines differ by ${apart}`);
}

/** 0 to 255, as these networks want it. */
function levels({ data, width, height }) {
  return { shape: [1, height, width, 3], data: Float32Array.from(data, (value) => value * 255) };
}

/** The layers of a model file as one function over tensors; weights are among its inputs, by name. */
function forward(layers) {
  return (inputs) => {
    const values = new Map();
    for (const { class_name: kind, config, name, inbound_nodes: nodes } of layers) {
      const given = (nodes[0] ?? []).map(([from]) => values.get(from));
      values.set(name, layer(kind, config, name, given, inputs));
    }
    return { image: values.get(layers.at(-1).name) };
  };
}

function layer(kind, config, name, given, inputs) {
  switch (kind) {
    case 'InputLayer':
      return inputs.image;
    case 'Conv2D': {
      const sum = tf.add(tf.conv2d(given[0], inputs[`${name}/kernel`], 1, 'same'), inputs[`${name}/bias`]);
      return activated(sum, config.activation);
    }
    case 'Activation':
      return activated(given[0], config.activation);
    case 'Concatenate':
      return tf.concat(given, 3);
    case 'Add':
      return given.reduce((sum, one) => tf.add(sum, one));
    case 'UpSampling2D':
      return repeated(given[0], config.size[0]);
    default:
      throw new Error(`${name}: no layer ${kind} is known here`);
  }
}

function activated(x, activation) {
  if (activation === 'linear') return x;
  if (activation === 'relu') return tf.relu(x);
  throw new Error(`no activation ${activation} is known here`);
}

/** Every pixel `factor` times along both axes. */
function repeated(x, factor) {
  const [n, h, w, c] = x.shape;
  const rows = tf.mul(x.reshape([n, h, 1, w * c]), tf.ones([1, 1, factor, 1]));
  const wide = rows.reshape([n * h * factor, w, 1, c]);
  return tf.mul(wide, tf.ones([1, 1, factor, 1])).reshape([n, h * factor, w * factor, c]);
}

function measure(name, milliseconds, pictures) {
  const scores = pictures.map((picture, at) => psnr(picture, tiles[at].truth));
  const mean = scores.reduce((sum, one) => sum + one, 0) / scores.length;
  rows.push([
    name,
    milliseconds === 0 ? '' : `${(milliseconds / tiles.length).toFixed(0)} ms`,
    `${mean.toFixed(2)} dB`,
  ]);
}

/** Of 8-bit pictures, as evaluation measures it. */
function psnr(picture, truth) {
  const { data } = fromUnit(picture, truth.width, truth.height);
  let squares = 0;
  for (let index = 0; index < data.length; index++) squares += (data[index] - truth.data[index]) ** 2;
  return 10 * Math.log10(255 ** 2 / (squares / data.length));
}

function print() {
  const { width, height } = tiles[0].truth;
  console.log(`x${SCALE}, ${tiles.length} test tiles of ${width} x ${height}, a tile:`);
  for (const [name, time, score] of rows)
    console.log(name.padEnd(58) + time.padStart(10) + score.padStart(12));
}
