import { describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import type { Engine } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import {
  checkGolden,
  GOLDEN_OPTIONS,
  GOLDEN_TOLERANCE,
  predictGolden,
  readGolden,
} from '../../src/doctor/golden.js';

/** An engine whose results go through `change`, as those of a broken driver would. */
function broken(change: (value: number, at: number) => number, only?: (name: string) => boolean): Engine {
  const engine = new GraphEngine({ threads: 1 });
  return {
    name: 'onnx',
    device: 'cpu',
    dispose: () => engine.dispose(),
    compile: async (fn, signature) => {
      const program = await engine.compile(fn, signature);
      return {
        ...program,
        readState: () => program.readState(),
        writeState: (state) => program.writeState(state),
        dispose: () => program.dispose(),
        run: async (feeds) =>
          Object.fromEntries(
            Object.entries(await program.run(feeds)).map(([name, { shape, data }]) => [
              name,
              { shape, data: only?.(name) === false ? data : data.map(change) },
            ]),
          ),
      };
    },
  };
}

function largest(one: Float32Array, other: Float32Array): number {
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at]!)), 0);
}

describe('the golden tile', () => {
  it('is what another implementation computes: TensorFlow.js in plain JavaScript', async () => {
    const engine = new EagerEngine('cpu');
    const { passed, largestDifference } = await checkGolden(engine);
    expect(passed).toBe(true);
    expect(largestDifference).toBeLessThan(GOLDEN_TOLERANCE / 100);
    await engine.dispose();
  });

  it('is what the cpu device computes', async () => {
    const engine = new GraphEngine({ threads: 1 });
    expect(await checkGolden(engine)).toMatchObject({ passed: true, verdict: 'as stored' });
    await engine.dispose();
  });

  it('shows every tensor of the model: without one, the picture is another by several tolerances', async () => {
    const engine = new GraphEngine({ threads: 1 });
    const { checkpoints, scene, operator, model } = await readGolden();
    const unseen: string[] = [];
    for (const [stage, { tensors }] of Object.entries(checkpoints)) {
      for (const [name, tensor] of Object.entries(tensors)) {
        const { data } = tensor;
        // A deviation of zero would divide by it.
        tensor.data = new Float32Array(data.length).fill(name.endsWith('deviation') ? 1 : 0);
        const found = await predictGolden(engine, checkpoints, scene);
        const shown = Math.max(largest(found.operator!, operator), largest(found.model, model));
        if (!(shown > 5 * GOLDEN_TOLERANCE)) unseen.push(`${stage}/${name}: ${shown}`);
        tensor.data = data;
        await engine.dispose();
      }
    }
    expect(unseen).toEqual([]);
  });

  it.each([
    ['eta', { eta: 0 }],
    ['the number of steps', { steps: 3 }],
    ['strength', { strength: 0.5 }],
    ['the seed', { seed: 8 }],
    ['the scale', { scale: 3, target: { width: 44, height: 36 } }],
  ])('shows %s', async (_name, other) => {
    const engine = new GraphEngine({ threads: 1 });
    const { checkpoints, scene, model } = await readGolden();
    const found = await predictGolden(engine, checkpoints, scene, { ...GOLDEN_OPTIONS, ...other });
    expect(largest(found.model, model)).toBeGreaterThan(GOLDEN_TOLERANCE);
    await engine.dispose();
  });

  it('is never black or white, where what is wrong would be clipped away', async () => {
    const { operator, model } = await readGolden();
    for (const picture of [operator, model]) {
      expect(picture.every((value) => value > 0 && value < 1)).toBe(true);
    }
  });

  it.each([
    ['black pictures', () => 0, undefined, "the operator's picture is all black: off by up to "],
    [
      'NaN',
      (value: number, at: number) => (at === 5 ? Number.NaN : value),
      undefined,
      "the operator's picture has NaN in it",
    ],
    [
      'a sampler that goes wrong',
      (value: number) => 1.5 * value,
      (name: string) => name === 'residual',
      "the sampler's picture is another one: off by up to ",
    ],
  ])('tells of %s', async (_name, change, only, verdict) => {
    const engine = broken(change, only);
    const found = await checkGolden(engine);
    expect(found.passed).toBe(false);
    expect(found.verdict).toContain(verdict);
    await engine.dispose();
  });

  it('tells of a device that gives an error', async () => {
    const engine = broken(() => {
      throw new Error('device lost\n  at the third dispatch');
    });
    expect(await checkGolden(engine)).toEqual({
      passed: false,
      largestDifference: null,
      verdict: 'it failed: device lost at the third dispatch',
    });
    await engine.dispose();
  });
});
