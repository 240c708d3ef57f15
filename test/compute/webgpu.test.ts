import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import type { HostTensor, TensorFn, TensorMap } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { silent } from '../../src/events.js';
import { STAGES } from '../../src/models/hndsr.js';
import { type Prediction, Predictor } from '../../src/models/predictor.js';
import { tinyCheckpoints, tinyParams } from '../models/tiny.js';
import { oneStep } from '../training/one-step.js';
import { expectClose, expectNumbersClose, runOnce, uniform } from './compare.js';
import { KERNEL_CASES, type KernelCase } from './kernel-cases.js';
import { hasSoftwareVulkan, NEEDS_VULKAN, useSoftwareVulkan } from './software-vulkan.js';

useSoftwareVulkan();

/** Relative to the largest value: WGSL lets a device be less exact at exp and the like than a processor is. */
const KERNEL_TOLERANCE = 1e-4;
/** WGSL asks of these an absolute error of at most 2^-11 (its specification, section 15.7.4). */
const LESS_EXACT: Record<string, number> = { Cos: 2 ** -11, Sin: 2 ** -11 };
/** A power of zero comes out as the power of a tiny number. */
const TINY = 1e-10;
const STEP_TOLERANCE = 2e-3;
/** Half a level of 8 bits. */
const PICTURE_TOLERANCE = 2e-3;

/** All cases of a kernel as one program: a GPU program is slow to build. */
function together(cases: readonly KernelCase[]): { fn: TensorFn; feeds: Record<string, HostTensor> } {
  const feeds = Object.fromEntries(
    cases.flatMap(({ inputs }, index) =>
      Object.entries(inputs).map(([name, value]) => [`${index}/${name}`, value]),
    ),
  );
  const fn: TensorFn = (given) => {
    const outputs: TensorMap = {};
    for (const [index, { inputs, run, name }] of cases.entries()) {
      const named = Object.keys(inputs).map((input) => [input, given[`${index}/${input}`]!]);
      for (const [part, one] of [run(Object.fromEntries(named))].flat().entries())
        outputs[`${name} (${index}.${part})`] = one;
    }
    return outputs;
  };
  return { fn, feeds };
}

const settled = ({ shape, data }: HostTensor, expected: HostTensor): HostTensor => ({
  shape,
  data: data.map((number, at) => (Math.abs(number) < TINY && expected.data[at] === 0 ? 0 : number)),
});

describe.skipIf(!hasSoftwareVulkan)(`on webgpu (${NEEDS_VULKAN})`, () => {
  const webgpu = new GraphEngine({ device: 'webgpu' });
  const cpu = new GraphEngine({ threads: 1 });
  const reference = new EagerEngine('cpu');
  beforeAll(() => tf.setBackend('cpu'));
  afterAll(async () => {
    for (const engine of [webgpu, cpu, reference]) await engine.dispose();
  });

  it.each(Object.entries(KERNEL_CASES))(
    'the traced kernel %s gives what TensorFlow.js gives',
    async (kernel, cases) => {
      const tolerance = LESS_EXACT[kernel] ?? KERNEL_TOLERANCE;
      const { fn, feeds } = together(cases);
      const [actual, expected] = [await runOnce(webgpu, fn, feeds), await runOnce(reference, fn, feeds)];
      expect(Object.keys(actual)).toEqual(Object.keys(expected));
      for (const name of Object.keys(expected))
        expectClose(settled(actual[name]!, expected[name]!), expected[name]!, tolerance, name);
    },
    120_000,
  );

  it.each(STAGES)(
    'a training step of %s gives what the cpu gives',
    async (stage) => {
      const [actual, expected] = [
        await oneStep(webgpu, stage, 16, true),
        await oneStep(cpu, stage, 16, true),
      ];
      for (const part of ['numbers', 'state', 'loss'] as const) {
        expect(Object.keys(actual[part]).sort()).toEqual(Object.keys(expected[part]).sort());
        for (const [name, one] of Object.entries(expected[part])) {
          expectClose(actual[part][name]!, one, STEP_TOLERANCE, name);
        }
      }
    },
    120_000,
  );

  it('a scene is upscaled as the cpu upscales it', async () => {
    const checkpoints = tinyCheckpoints(tinyParams());
    const low = { width: 9, height: 7, bands: 3, data: uniform([7, 9, 3], 'scene').data };
    const options = { scale: 3, seed: 7, overlap: 4, steps: 3, strength: 0.5, eta: 0.5, withOperator: true };
    const on = async (engine: GraphEngine): Promise<Prediction> =>
      (await Predictor.create(engine, checkpoints, 2)).predict(low, options, silent, 'upscaling');
    const [actual, expected] = [await on(webgpu), await on(cpu)];
    expect([actual.width, actual.height]).toEqual([27, 21]);
    expectNumbersClose(actual.model, expected.model, PICTURE_TOLERANCE, 'the model');
    expectNumbersClose(actual.operator!, expected.operator!, PICTURE_TOLERANCE, 'the operator');
  }, 120_000);

  it('keeps state on the device from run to run, and takes and gives it when asked', async () => {
    const start = { shape: [3], data: Float32Array.of(1, 2, 3) };
    const program = await webgpu.compile(
      ({ sum, x }) => ({ sum: tf.add(sum!, x!), twice: tf.mul(sum!, 2) }),
      {
        inputs: { x: [3] },
        state: { sum: start },
      },
    );
    const x = { shape: [3], data: Float32Array.of(10, 10, 10) };
    expect((await program.readState()).sum).toEqual(start);
    await program.run({ x });
    expect([...(await program.run({ x })).twice!.data]).toEqual([22, 24, 26]);
    expect([...(await program.readState()).sum!.data]).toEqual([21, 22, 23]);
    await program.writeState({ sum: start });
    expect([...(await program.run({ x })).twice!.data]).toEqual([2, 4, 6]);
    expect([...(await program.readState()).sum!.data]).toEqual([11, 12, 13]);
  });
});
