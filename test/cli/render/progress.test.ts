import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRenderer, rate } from '../../../src/cli/render/progress.js';
import type { HndsrEvent } from '../../../src/events.js';

const PROGRESS: HndsrEvent = { kind: 'progress', task: 'training', done: 3, total: 9, detail: 'loss 0.1' };

describe('progress', () => {
  const { isTTY, columns } = process.stderr;
  let written: string;

  beforeEach(() => {
    written = '';
    vi.stubEnv('CI', undefined);
    vi.stubEnv('TERM', 'xterm');
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    Object.assign(process.stderr, { isTTY, columns });
  });

  const draw = (json = false, quiet = false): void => {
    const renderer = createRenderer({ json, quiet, verbose: false });
    renderer.emit(PROGRESS);
    renderer.emit({ kind: 'message', level: 'warning', text: 'mind this' });
    renderer.clear();
  };

  it.each([
    ['where there is no terminal', false, undefined],
    ['on a terminal without a width, where a spinner would clear lines for ever', true, 0],
  ])('is plain lines %s', (_where, terminal, width) => {
    Object.assign(process.stderr, { isTTY: terminal, columns: width });
    draw();
    expect(written).toBe('training 3/9  loss 0.1\nwarning: mind this\n');
  });

  it('is JSON lines with --json, and only warnings with --quiet', () => {
    Object.assign(process.stderr, { isTTY: false, columns: undefined });
    draw(true);
    expect(
      written
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).kind),
    ).toEqual(['progress', 'message']);
    written = '';
    draw(false, true);
    expect(written).toBe('warning: mind this\n');
  });

  it('is at most ten JSON lines a second of one task, and its last', () => {
    vi.useFakeTimers();
    try {
      const renderer = createRenderer({ json: true, quiet: false, verbose: false });
      const count = (from: number, to: number): void => {
        for (let done = from; done <= to; done++) {
          renderer.emit({ kind: 'progress', task: 'etl', done, total: 1000, detail: `${done}.png` });
          vi.advanceTimersByTime(1);
        }
      };
      count(1, 333);
      // What is known when something else is told, or the command ends, is told before.
      renderer.emit({ kind: 'message', level: 'warning', text: 'mind this' });
      count(334, 950);
      renderer.clear();
      count(951, 1000);
      const told = written
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).done ?? 'warning');
      const tenths = [1, 101, 201, 301, 401, 501, 601, 701, 801, 901];
      expect(told).toEqual([...tenths.slice(0, 4), 333, 'warning', ...tenths.slice(4), 950, 1000]);
    } finally {
      vi.useRealTimers();
    }
  });

  describe('of a training', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    /** Step 101, at once, and then one a second, of a training that was stopped at step 100. */
    const train = async (json: boolean, steps: number): Promise<void> => {
      const renderer = createRenderer({ json, quiet: false, verbose: false });
      for (let step = 1; step <= steps; step++) {
        renderer.emit({
          kind: 'progress',
          task: 'training diffusion',
          done: 100 + step,
          total: 241,
          detail: `loss 0.${step}`,
          perSecond: 16,
          unit: 'samples',
        });
        // The spinner is loaded when it is first needed.
        await vi.dynamicImportSettled();
        vi.advanceTimersByTime(1000);
      }
      renderer.clear();
    };

    it('is a spinner on a terminal, with loss, samples a second and the time that is left', async () => {
      Object.assign(process.stderr, {
        isTTY: true,
        columns: 100,
        cursorTo: () => true,
        clearLine: () => true,
      });
      await train(false, 11);
      const drawn = stripVTControlCharacters(written);
      expect(drawn).toMatch(/. training diffusion 101\/241 {2}loss 0\.1 {2}16 samples\/s\n?/);
      expect(drawn).toContain('training diffusion 111/241  loss 0.11  16 samples/s  2 min 10 s left');
    });

    it('is a plain line every few seconds elsewhere', async () => {
      Object.assign(process.stderr, { isTTY: false, columns: undefined });
      await train(false, 11);
      expect(written).toBe(
        'training diffusion 101/241  loss 0.1  16 samples/s\n' +
          'training diffusion 106/241  loss 0.6  16 samples/s  2 min 15 s left\n' +
          'training diffusion 111/241  loss 0.11  16 samples/s  2 min 10 s left\n',
      );
    });

    it('is a JSON line for each step with --json', async () => {
      Object.assign(process.stderr, { isTTY: false, columns: undefined });
      await train(true, 3);
      const events = written
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events).toHaveLength(3);
      expect(events[2]).toEqual({
        kind: 'progress',
        task: 'training diffusion',
        done: 103,
        total: 241,
        detail: 'loss 0.3',
        perSecond: 16,
        unit: 'samples',
        remainingSeconds: 138,
      });
    });
  });

  it('of a new task comes at once where there is no terminal', () => {
    Object.assign(process.stderr, { isTTY: false, columns: undefined });
    const { emit } = createRenderer({ json: false, quiet: false, verbose: false });
    for (const task of ['one', 'one', 'two']) emit({ kind: 'progress', task, done: 1, total: 2 });
    expect(written).toBe('one 1/2\ntwo 1/2\n');
  });
});

it('shows a rate with two digits at least', () => {
  expect([0, 0.0042, 0.035, 0.7, 3.14, 16.4, 1200].map(rate)).toEqual([
    ...['0.0', '0.0042', '0.035', '0.70', '3.1', '16', '1200'],
  ]);
});
