import { describe, expect, it } from 'vitest';
import type { Scales } from '../../src/config/params.js';
import type { Stage } from '../../src/models/hndsr.js';
import { scaleWarning } from '../../src/models/trained-scales.js';
import { tinyCheckpoints, tinyParams } from './tiny.js';

const checkpoints = tinyCheckpoints(tinyParams());

const trainedAt = (scales: Scales, changed: Partial<Record<Stage, Scales>> = {}) => ({
  autoencoder: { ...checkpoints.autoencoder, scales: changed.autoencoder ?? scales },
  'neural-operator': { ...checkpoints['neural-operator'], scales: changed['neural-operator'] ?? scales },
  diffusion: { ...checkpoints.diffusion, scales: changed.diffusion ?? scales },
});

describe('the warning of a scale', () => {
  it.each([
    [[4], 4],
    [[4, 2], 2],
    [[2, 4], 3],
    [{ from: 1.5, to: 6 }, 1.5],
    [{ from: 1.5, to: 6 }, 5.99],
  ] as [Scales, number][])('is not given to a model of %j at x%d', (scales, scale) => {
    expect(scaleWarning('the model', trainedAt(scales), scale)).toBeUndefined();
  });

  it.each([
    [[4], 2.5, 'version 7 was trained and measured at x4; what it does at x2.5 was not measured'],
    [[2, 4], 4.5, 'version 7 was trained at x2 to x4; how it does at x4.5 is not known'],
    [{ from: 2, to: 3 }, 1.9, 'version 7 was trained at x2 to x3; how it does at x1.9 is not known'],
  ] as [Scales, number, string][])('is given to a model of %j at x%d', (scales, scale, text) => {
    expect(scaleWarning('version 7', trainedAt(scales), scale)).toBe(text);
  });

  it('goes by the stage that saw least', () => {
    const uneven = trainedAt({ from: 2, to: 6 }, { 'neural-operator': [2, 4] });
    expect(scaleWarning('the model', uneven, 4)).toBeUndefined();
    expect(scaleWarning('the model', uneven, 5)).toContain('trained at x2 to x4');
    const apart = trainedAt([2], { diffusion: [4] });
    expect(scaleWarning('the model', apart, 2)).toContain('share none');
  });

  it('takes a checkpoint that names no scales at its one scale', () => {
    expect(checkpoints.diffusion.scales).toBeUndefined();
    expect(scaleWarning('the model', checkpoints, 4)).toBeUndefined();
    expect(scaleWarning('the model', checkpoints, 2)).toContain('x4');
  });
});
