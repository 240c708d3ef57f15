import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import type { Engine } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { STAGES } from '../../src/models/hndsr.js';
import { parameterCount } from '../../src/nn/parameters.js';
import { defineStage } from '../../src/training/stages.js';
import { expectClose } from '../compute/compare.js';
import { tinyParams } from '../models/tiny.js';
import { oneStep, type StepResult } from './one-step.js';

const TOLERANCE = 1e-4;

describe.each(STAGES)('one training step of %s', (stage) => {
  describe.each([
    ['first values, windows of 16 pixels', 16, false],
    ['all weights at work, windows of 16 pixels', 16, true],
    ['all weights at work, windows of 32 pixels', 32, true],
  ] as const)('with %s', (_name, crop, trained) => {
    const engines: Engine[] = [new GraphEngine({ threads: 1 }), new EagerEngine('cpu')];
    let actual: StepResult;
    let expected: StepResult;
    beforeAll(async () => {
      [actual, expected] = [
        await oneStep(engines[0]!, stage, crop, trained),
        await oneStep(engines[1]!, stage, crop, trained),
      ];
    });
    afterAll(async () => {
      for (const engine of engines) await engine.dispose();
    });

    it('gives the same loss and gradient on both engines', () => {
      expect(Object.keys(actual.numbers).sort()).toEqual(Object.keys(expected.numbers).sort());
      expect(Object.keys(expected.numbers)).toEqual(expect.arrayContaining(['loss', 'gradient_norm']));
      for (const [name, one] of Object.entries(expected.numbers)) {
        expect(one.data[0], name).toBeGreaterThan(0);
        expectClose(actual.numbers[name]!, one, TOLERANCE, name);
      }
    });

    it('leaves the same state on both engines', () => {
      expect(Object.keys(expected.state).sort()).toEqual([
        'ema',
        'first_moment',
        'parameters',
        'second_moment',
      ]);
      for (const [name, one] of Object.entries(expected.state)) {
        expectClose(actual.state[name]!, one, TOLERANCE, name);
      }
    });

    it('sees the loss that validation sees', () => {
      for (const result of [actual, expected]) {
        for (const [name, one] of Object.entries(result.loss)) {
          expectClose(one, result.numbers[name]!, 1e-6, name);
        }
      }
    });

    if (trained) {
      it('has a gradient for every parameter', () => {
        const { specs } = defineStage(stage, tinyParams());
        const moment = expected.state.first_moment!.data;
        expect(moment).toHaveLength(parameterCount(specs));
        let offset = 0;
        for (const [name, { shape }] of Object.entries(specs)) {
          const size = shape.reduce((product, length) => product * length, 1);
          expect(
            moment.subarray(offset, offset + size).some((one) => one !== 0),
            name,
          ).toBe(true);
          offset += size;
        }
      });
    }
  });
});
