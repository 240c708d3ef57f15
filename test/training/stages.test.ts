import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/compute/engine.js';
import { STAGES } from '../../src/models/hndsr.js';
import { alphaBars } from '../../src/models/noise-schedule.js';
import { Random } from '../../src/random.js';
import { withNoise } from '../../src/training/noise.js';
import { defineStage, NEEDS } from '../../src/training/stages.js';
import { uniform } from '../compute/compare.js';
import { tinyParams, tinySpecs } from '../models/tiny.js';

const params = tinyParams('training.batch=64');
const shape = [64, 16, 16, 3];
const batch = {
  image: uniform(shape, 'image'),
  upsampled: uniform(shape, 'upsampled'),
  scale: { shape: [64, 1], data: new Float32Array(64).fill(4) },
};

describe.each(STAGES)('the stage %s', (stage) => {
  const definition = defineStage(stage, params);

  it('is fed exactly what its loss takes', () => {
    const feeds = definition.feeds(withNoise(batch, definition.noise, Random.from(1)));
    expect(Object.fromEntries(Object.entries(feeds).map(([name, one]) => [name, one.shape]))).toEqual(
      definition.inputs,
    );
    for (const { shape, data } of Object.values(feeds)) expect(data).toHaveLength(sizeOf(shape));
  });

  it('draws the same for the same generator', () => {
    const draw = () => definition.feeds(withNoise(batch, definition.noise, Random.from(1)));
    expect(draw()).toEqual(draw());
  });

  it('trains its own parameters and freezes the stages before it', () => {
    expect(Object.keys(definition.specs)).toEqual(Object.keys(tinySpecs(params)[stage]));
    expect(definition.needs).toEqual(STAGES.slice(0, STAGES.indexOf(stage)));
    expect(NEEDS[stage]).toEqual(definition.needs);
  });
});

it('the diffusion stage draws times from the whole schedule, each with its share of signal', () => {
  const definition = defineStage('diffusion', params);
  const bars = alphaBars(params.model.diffusion);
  const random = Random.from(3);
  const times = new Set<number>();
  for (let step = 0; step < 20; step++) {
    const { timestep, alpha_bar } = definition.feeds(withNoise(batch, definition.noise, random));
    for (const [index, time] of timestep!.data.entries()) {
      times.add(time);
      expect(alpha_bar!.data[index]).toBe(Math.fround(bars[time]!));
    }
  }
  expect([...times].sort((a, b) => a - b)).toEqual(Array.from({ length: bars.length }, (_, time) => time));
});

it.each(STAGES)('weight decay pulls at the weights of %s, never at biases', (stage) => {
  const { specs } = defineStage(stage, params);
  const decaying = Object.keys(specs).filter((name) => specs[name]!.decays);
  const free = Object.keys(specs).filter((name) => !specs[name]!.decays);
  for (const name of free) expect(name).toMatch(/\.bias$/);
  for (const name of decaying) expect(name).not.toMatch(/bias|norm|gain/);
  expect(free.length).toBeGreaterThan(0);
  expect(decaying.length).toBeGreaterThan(0);
});

it('only the spectral weights of the operator learn at a rate of their own', () => {
  const { specs } = defineStage('neural-operator', tinyParams('training.neural_operator.spectral_rate=0.25'));
  for (const [name, { rate }] of Object.entries(specs)) {
    expect(rate, name).toBe(name.includes('.spectral.') ? 0.25 : 1);
  }
});
