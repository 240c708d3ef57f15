import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRenderer } from '../../../src/cli/render/progress.js';
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
});
