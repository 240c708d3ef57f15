import { afterAll, expect, it } from 'vitest';
import { benchInputs, encoderAndOperator, randomModel, timeUpscale } from '../../src/bench/upscale.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { operatorFn } from '../../src/models/hndsr.js';
import { expectNumbersClose } from '../compute/compare.js';
import { tinyParams } from '../models/tiny.js';

const engine = new GraphEngine({ threads: 1 });
afterAll(() => engine.dispose());

const work = { config: tinyParams().model, batch: 2, size: 16, samplerSteps: 3 };

it('times encoder and operator apart, which together are the program that upscaling runs', async () => {
  const { config, batch, size } = work;
  const { upsampled } = benchInputs(work);
  const scale = { shape: [batch, 1], data: new Float32Array(batch).fill(4) };
  const { encode, operator } = await encoderAndOperator(engine, work);
  const { fn, inputs } = operatorFn(config, batch, size);
  const both = await engine.compile(fn, { inputs, constants: randomModel(config) });
  const { latent } = await encode.run({ upsampled });
  const apart = await operator.run({ latent: latent!, upsampled, scale });
  const together = await both.run({ upsampled, scale });
  expectNumbersClose(apart.latent!.data, together.latent!.data, 1e-5, 'z_no');
});

it('gives each network its own percentiles', async () => {
  const { networks, medianMs } = await timeUpscale(engine, work, 4);
  expect(Object.keys(networks)).toEqual(['encode', 'operator', 'sampler', 'decoder']);
  for (const { p50, p95, p99 } of Object.values(networks)) {
    expect(p50).toBeGreaterThan(0);
    expect(p95).toBeGreaterThanOrEqual(p50);
    expect(p99).toBeGreaterThanOrEqual(p95);
  }
  expect(medianMs).toBeGreaterThan(0);
});
