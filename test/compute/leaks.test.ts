import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const dist = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);

const STEPS = 200;
const WARM_UP = 50;

/** A process of its own, whose memory nothing else touches: training steps of a small net, and what they left. */
const program = (engine: string, [batch, grid, channels]: [number, number, number]): string => `
import * as tf from '@tensorflow/tfjs';
import { EagerEngine } from ${dist('compute/eager.js')};
import { GraphEngine } from ${dist('compute/graph/engine.js')};
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from ${dist('nn/optimiser.js')};
import { initialise, convolutionSpecs } from ${dist('nn/parameters.js')};
import { convolution, silu } from ${dist('nn/layers.js')};
const specs = { ...convolutionSpecs('a', 3, ${channels}, ${channels}), ...convolutionSpecs('b', 3, ${channels}, ${channels}) };
const loss = (parameters, { x }) => ({
  loss: tf.mean(tf.square(convolution(parameters, 'b', silu(convolution(parameters, 'a', x))))),
});
const engine = ${engine};
const shape = [${batch}, ${grid}, ${grid}, ${channels}];
const step = await engine.compile(
  trainingStep(specs, loss, { weightDecay: 0, gradientClip: 1, emaDecay: 0.9 }),
  { inputs: { x: shape, ...STEP_INPUTS }, state: optimiserState(specs, initialise(specs, 1, 'leaks')) },
);
const data = new Float32Array(${batch * grid * grid * channels}).fill(0.5);
const found = [];
for (let index = 1; index <= ${STEPS}; index++) {
  await step.run({ x: { shape, data }, ...stepScalars(index, 1e-3) });
  if (index === ${WARM_UP} || index === ${STEPS}) {
    await step.readState();
    gc();
    found.push({ tensors: tf.memory().numTensors, resident: process.memoryUsage().rss });
  }
}
console.log(JSON.stringify(found));
process.exit(0);
`;

describe.each([
  { name: 'the graph engine', engine: 'new GraphEngine({ threads: 1 })', sizes: [4, 32, 16], pictures: 1 },
  { name: 'the eager engine', engine: "new EagerEngine('cpu')", sizes: [2, 16, 8], pictures: 24 },
] as { name: string; engine: string; sizes: [number, number, number]; pictures: number }[])(
  '$name',
  ({ engine, sizes, pictures }) => {
    it(`keeps as many tensors and as much memory after ${STEPS} steps as after ${WARM_UP}`, async () => {
      const args = ['--expose-gc', '--input-type=module', '--eval', program(engine, sizes)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const [before, after] = JSON.parse(stdout.trim().split('\n').at(-1)!);
      expect(after.tensors).toBe(before.tensors);
      // V8 grows its heap in steps of 16 MiB, so the bound is some way above one. Of the thirty and more pictures that a step makes, these few would be seen if they stayed.
      const [batch, grid, channels] = sizes;
      const leaked = (STEPS - WARM_UP) * pictures * batch * grid * grid * channels * 4;
      expect(after.resident - before.resident).toBeLessThan(leaked);
    }, 240_000);
  },
);
