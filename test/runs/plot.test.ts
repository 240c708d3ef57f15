import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { plotRuns } from '../../src/runs/plot.js';
import { addRun, useProject } from './project.js';

const cwd = useProject();

/** The points of a path, in order. */
function pointsOf(path: string): [number, number][] {
  return [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
}

async function svgOf(runs: number[], metric = 'loss'): Promise<string> {
  const { output } = await plotRuns({ cwd: cwd(), runs, metric, output: 'curves.svg' });
  return readFileSync(output!, 'utf8');
}

const strokes = (svg: string): string[] =>
  [...svg.matchAll(/<path d="([^"]+)" fill="none" stroke="#[0-9a-f]{6}" stroke-width/g)].map(
    ([, path]) => path!,
  );
const bands = (svg: string): string[] =>
  [...svg.matchAll(/<path d="([^"]+)" fill="#[0-9a-f]{6}" fill-opacity/g)].map(([, path]) => path!);

describe('a plot as SVG', () => {
  it('has a line for each number of each run, and says which is which', async () => {
    const runs = [addRun(cwd()), addRun(cwd(), { loss: (step) => 2 / step })];
    const svg = await svgOf(runs);
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);
    expect(texts).toEqual(
      expect.arrayContaining(
        ['loss', 'validation/loss'].flatMap((name) => runs.map((id) => `run ${id} (autoencoder) ${name}`)),
      ),
    );
    expect(texts).toEqual(expect.arrayContaining(['step', '0', '6']));
    const lines = strokes(svg).map(pointsOf);
    expect(lines.map(({ length }) => length)).toEqual([6, 2, 6, 2]);
    // The second run's loss is twice as high, which is further up: a smaller y.
    expect(lines[2]![0]![1]).toBeLessThan(lines[0]![0]![1]);
    // One dot for each validation, and one for each in the legend.
    expect(svg.match(/<circle/g)).toHaveLength(2 * 2 + 2);
  });

  it('is a picture that a renderer takes, with nothing from elsewhere', async () => {
    const svg = await svgOf([addRun(cwd())]);
    const { width, height } = await sharp(Buffer.from(svg)).metadata();
    expect([width, height]).toEqual([960, 540]);
    expect(svg).not.toMatch(/<script|<style|<image|href|url\(/);
    expect(svg.match(/https?:[^"]+/g)).toEqual(['http://www.w3.org/2000/svg']);
  });

  it('of many steps draws as many columns as can be seen, and leaves no spike out', async () => {
    const id = addRun(cwd(), { to: 20_000, loss: (step) => (step === 12_345 ? 9 : 1), every: 1000 });
    const svg = await svgOf([id]);
    expect(svg.length).toBeLessThan(60_000);
    const [line, band] = [pointsOf(strokes(svg)[0]!), pointsOf(bands(svg)[0]!)];
    expect(line.length).toBeLessThan(300);
    expect(band).toHaveLength(2 * line.length);
    // The band reaches the spike, at the place of its step.
    const top = band.reduce((high, one) => (one[1] < high[1] ? one : high));
    const [left, right] = [line[0]![0], line.at(-1)![0]];
    expect((top[0] - left) / (right - left)).toBeCloseTo(12_345 / 20_000, 2);
    expect(line.filter(([, y]) => y !== line[0]![1])).toHaveLength(1);
    // Of the 70 values of its column one is 9: their mean is far below it.
    expect(top[1]).toBeLessThan(Math.min(...line.map(([, y]) => y)) - 100);
  });

  it('holds text that means something to XML as text', async () => {
    const id = addRun(cwd(), { run: { stage: '<b> & "c"\u0001' } });
    const svg = await svgOf([id]);
    expect(svg).toContain('run 1 (&lt;b&gt; &amp; &quot;c&quot;\u{FFFD}) loss');
    await expect(sharp(Buffer.from(svg)).metadata()).resolves.toMatchObject({ format: 'svg' });
  });

  it('leaves out what was not finite', async () => {
    const id = addRun(cwd(), { to: 5, loss: (step) => (step === 3 ? Number.NaN : step), every: 99 });
    expect(strokes(await svgOf([id])).map((path) => pointsOf(path).length)).toEqual([4]);
  });

  it('is drawn of one step, too', async () => {
    const svg = await svgOf([addRun(cwd(), { to: 1 })]);
    expect(svg.match(/<circle/g)).toHaveLength(1);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('replaces the file as a whole and leaves no other behind', async () => {
    const id = addRun(cwd());
    await svgOf([id]);
    await svgOf([id], 'psnr');
    expect(readdirSync(cwd()).sort()).toEqual(['.hndsr', 'curves.svg']);
  });
});

describe('a run that goes on with another', () => {
  it('is drawn with that one up to its own first step', async () => {
    // The first was killed at step 60, after its checkpoint at step 40.
    const first = addRun(cwd(), { to: 60, loss: () => 5 });
    const second = addRun(cwd(), { run: { resumedFrom: first, firstStep: 41 }, to: 80, loss: () => 3 });
    const third = addRun(cwd(), { run: { resumedFrom: second, firstStep: 71 }, to: 100, loss: () => 2 });
    const { curves } = await plotRuns({
      cwd: cwd(),
      runs: [third],
      metric: 'learning_rate',
      output: 'a.svg',
    });
    expect(curves[0]!.columns.map(({ step }) => step)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    const loss = (await plotRuns({ cwd: cwd(), runs: [third], metric: 'loss', output: 'a.svg' })).curves[0]!;
    const at = (step: number): number => loss.columns.find((one) => one.step === step)!.mean;
    expect([40, 41, 70, 71, 100].map(at)).toEqual([5, 3, 3, 2, 2]);
  });

  it('is the same in columns, each of which knows its steps alone', async () => {
    const first = addRun(cwd(), { to: 3000, loss: (step) => step, every: 500 });
    const second = addRun(cwd(), {
      run: { resumedFrom: first, firstStep: 2001 },
      to: 4000,
      every: 500,
      loss: (step) => step,
    });
    const { curves } = await plotRuns({ cwd: cwd(), runs: [second], metric: 'loss', output: 'a.svg' });
    const { columns } = curves[0]!;
    for (const { step, mean, low, high } of columns) {
      expect(mean).toBeCloseTo(step, 6);
      expect([low <= step, high >= step]).toEqual([true, true]);
    }
    const count = columns.reduce((sum, { low, high }) => sum + high - low + 1, 0);
    expect(count).toBe(4000);
  });
});

describe('a plot in characters', () => {
  it('is one for each run, on the same axes', async () => {
    const runs = [addRun(cwd(), { to: 60, loss: () => 1 }), addRun(cwd(), { to: 60, loss: (step) => step })];
    const { text, output } = await plotRuns({ cwd: cwd(), runs, metric: 'loss' });
    expect(output).toBeNull();
    const [first, second] = text.split('\n\n').map((part) => part.split('\n'));
    expect([first![0], second![0]]).toEqual(['run 1 (autoencoder) loss', 'run 2 (autoencoder) loss']);
    const axes = (lines: string[]): string[] =>
      lines.slice(1).map((line) => line.replace(/[\u2800-\u28ff]+$/, ''));
    expect(axes(first!)).toEqual(axes(second!));
    // 1 throughout is a line at the bottom; what rises begins at the bottom left and ends at the top right.
    const rows = (lines: string[]): number[] =>
      lines.slice(1, -2).flatMap((line, row) => (/[\u2801-\u28ff]/.test(line) ? [row] : []));
    expect(rows(first!)).toHaveLength(1);
    expect(rows(second!).length).toBeGreaterThan(8);
    expect(text.split('\n').every((line) => line.length <= 80)).toBe(true);
  });
});

describe('a plot that cannot be drawn', () => {
  it('is refused by what is wrong, and writes nothing', async () => {
    const id = addRun(cwd());
    const refusal = (options: { runs?: (number | 'latest')[]; metric?: string; output?: string }) =>
      plotRuns({ cwd: cwd(), runs: [id], metric: 'loss', ...options }).then(
        () => 'was drawn',
        ({ code, message, hint }) => [code, message, hint],
      );
    expect(await refusal({ runs: [id, 9] })).toEqual([
      'RUN_MISSING',
      'there is no run 9',
      '`hndsr runs list` shows those there are.',
    ]);
    expect(await refusal({ metric: 'lost' })).toEqual([
      'USAGE',
      '--metric lost: run 1 has no such metric',
      'It has learning_rate, loss, psnr.',
    ]);
    expect(await refusal({ output: 'curves.png' })).toEqual([
      'USAGE',
      '-o curves.png: a plot is written as SVG',
      'Give it a name that ends in .svg.',
    ]);
    const empty = addRun(cwd(), { to: 0 });
    expect((await refusal({ runs: [empty] }))[2]).toBe('Run 2 ended before it wrote down any.');
    const wild = addRun(cwd(), { loss: () => Number.NaN });
    expect((await refusal({ runs: [wild] }))[1]).toBe('loss of run 3 was at no step a finite number');
    expect(existsSync(join(cwd(), 'curves.png'))).toBe(false);
  });

  it('is refused where the file cannot be', async () => {
    const id = addRun(cwd());
    const output = '.hndsr/hndsr.db/curves.svg';
    await expect(plotRuns({ cwd: cwd(), runs: [id], metric: 'loss', output })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});
