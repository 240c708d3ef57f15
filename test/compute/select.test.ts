import { describe, expect, it } from 'vitest';
import { selectEager, selectEngine } from '../../src/compute/select.js';

describe('the choice of an engine', () => {
  it('gives one that computes, and a reason for a person', async () => {
    for (const select of [selectEngine, selectEager]) {
      const { engine, reason } = await select();
      const program = await engine.compile(({ x }) => ({ y: x!.square() }), { inputs: { x: [2] } });
      const { y } = await program.run({ x: { shape: [2], data: Float32Array.of(2, -3) } });
      expect([...y!.data]).toEqual([4, 9]);
      expect(reason.length).toBeGreaterThan(10);
      await engine.dispose();
    }
  });

  it('is the eager one only where native TensorFlow.js sees a GPU', async () => {
    const { engine, reason } = await selectEngine();
    expect(engine.name).toBe(/sees a GPU$/.test(reason) && !/no GPU/.test(reason) ? 'eager' : 'graph');
  });
});
