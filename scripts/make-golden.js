/**
 * Writes golden/: the small model that `hndsr doctor` runs on every device, a scene, and what the cpu device makes of it.
 * Run it when the networks change, and only then: node scripts/make-golden.js
 */
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ROOT, setUp } from './setup.js';

setUp();
const load = (path) => import(new URL(`../dist/${path}`, import.meta.url));
const { writeAtomic } = await load('atomic.js');
const { GraphEngine } = await load('compute/graph/engine.js');
const { sizeOf } = await load('compute/engine.js');
const { loadParams } = await load('config/params.js');
const { GOLDEN, GOLDEN_OPTIONS, predictGolden } = await load('doctor/golden.js');
const { autoencoderSpecs } = await load('models/autoencoder.js');
const { readModel, writeCheckpoint } = await load('models/checkpoint.js');
const { diffusionSpecs } = await load('models/diffusion-unet.js');
const { LATENT_DEVIATION, LATENT_MEAN, RESIDUAL_DEVIATION } = await load('models/hndsr.js');
const { neuralOperatorSpecs } = await load('models/neural-operator.js');
const { encodeSafetensors } = await load('models/safetensors.js');
const { Random } = await load('random.js');

const SEED = 1;
const { model } = loadParams(ROOT, [
  'model.autoencoder.width=16',
  'model.autoencoder.blocks=1',
  'model.autoencoder.latent_channels=4',
  'model.neural_operator.width=16',
  'model.neural_operator.blocks=1',
  'model.neural_operator.modes=2',
  'model.neural_operator.amplification_width=4',
  'model.diffusion.width=16',
  'model.diffusion.blocks=1',
]);
const [CROP, CHANNELS] = [16, model.autoencoder.latent_channels];
const SPECS = {
  autoencoder: autoencoderSpecs(model.autoencoder),
  'neural-operator': neuralOperatorSpecs(model.neural_operator, CHANNELS, 1),
  diffusion: diffusionSpecs(model.diffusion, CHANNELS),
};
const along = (from, step) => ({
  shape: [CHANNELS],
  data: Float32Array.from({ length: CHANNELS }, (_, index) => from + index * step),
});
const STATISTICS = {
  autoencoder: { [LATENT_MEAN]: along(-0.6, 0.4), [LATENT_DEVIATION]: along(0.5, 0.25) },
  'neural-operator': {},
  diffusion: { [RESIDUAL_DEVIATION]: along(0.2, 0.1) },
};

/** Over the usual size of a layer's weights. Together these keep the pictures between black and white. */
const GAINS = [
  ['decoder.out', 0.1],
  ['diffusion/out', 0.5],
  ['spectral', 2],
  ['amplification', 1.5],
];
const [GAIN, BIAS] = [1.15, 0.5];

/** So large that each tensor shows in the pictures by several times the tolerance; a test leaves out each in turn. */
function valuesOf(stage) {
  return Object.fromEntries(
    Object.entries(SPECS[stage]).map(([name, { shape }]) => {
      const [, gain] = GAINS.find(([part]) => `${stage}/${name}`.includes(part)) ?? ['', 1];
      const deviation = gain * (shape.length === 1 ? BIAS : GAIN / Math.sqrt(fanIn(shape)));
      const data = Random.from(SEED, 'golden', stage, name).fillNormal(new Float32Array(sizeOf(shape)));
      return [name, { shape, data: data.map((value) => deviation * value) }];
    }),
  );
}

/** Of a dense layer's weight [in, out], a spectral one [modes, in, out], a convolution's [out, in, size, size]. */
function fanIn(shape) {
  if (shape.length === 4) return sizeOf(shape.slice(1));
  return shape.length === 3 ? 2 * shape[1] : shape[0];
}

const pathOf = (name) => fileURLToPath(new URL(`${name}.safetensors`, GOLDEN));

rmSync(GOLDEN, { recursive: true, force: true });
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const trainedOn = {};
for (const stage of Object.keys(SPECS)) {
  const metadata = {
    stage,
    model,
    crop: CROP,
    scale: GOLDEN_OPTIONS.scale,
    seed: SEED,
    step: 0,
    dataset_fingerprint: 'none: random weights, for hndsr doctor',
    code_version: version,
    metrics: {},
    trained_on: { ...trainedOn },
  };
  const tensors = { ...valuesOf(stage), ...STATISTICS[stage] };
  trainedOn[stage] = await writeCheckpoint(pathOf(stage), metadata, tensors);
}
const [height, width] = [9, 11];
const random = Random.from(SEED, 'golden', 'scene');
const low = Float32Array.from({ length: height * width * 3 }, () => 0.35 + 0.3 * random.uniform());
const engine = new GraphEngine({ threads: 1 });
const sources = Object.fromEntries(Object.keys(SPECS).map((stage) => [stage, { path: pathOf(stage) }]));
const scene = { width, height, bands: 3, data: low };
const found = await predictGolden(engine, await readModel(sources), scene);
await engine.dispose();
const picture = (data) => ({ shape: [found.height, found.width, 3], data });
const tensors = {
  low: { shape: [height, width, 3], data: low },
  operator: picture(found.operator),
  model: picture(found.model),
};
await writeAtomic(pathOf('pictures'), encodeSafetensors({ tensors, metadata: {} }));
