import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addRun, useProject } from '../runs/project.js';
import { hndsr } from './tiny-project.js';

const cwd = useProject();
const runs = (...words: string[]) => hndsr(cwd(), 'runs', ...words);

describe('hndsr runs', () => {
  it('lists, shows and compares in words', async () => {
    expect((await runs('list')).stdout).toBe('there is no run yet');
    addRun(cwd());
    addRun(cwd(), { run: { params: { seed: 5 }, engineReason: 'asked for' }, loss: (step) => 2 / step });
    const list = (await runs('list')).stdout.split('\n');
    expect(list[0]).toMatch(/^run +stage +status +started +took +step +loss +validation +engine +commit$/);
    expect(list[1]).toMatch(/^2 +autoencoder +completed +\S+Z +\d+ s +6 +0\.3333 +0\.6667 +onnx cpu +abc$/);
    const { stdout } = await runs('show', '2');
    expect(stdout).toMatch(
      /^run 2, autoencoder, completed\nstarted {3}\S+Z, took \d+ s, on \S+ \(process \d+\)$/m,
    );
    expect(stdout).toMatch(/^engine {4}onnx on cpu: asked for$/m);
    expect(stdout).toMatch(/^versions {2}hndsr 0\.1\.0, node 20\.0\.0$/m);
    expect(stdout).toMatch(/^ {2}2 [▁-█]{6} 0\.3333$/m);
    expect(stdout).toMatch(/^ {2}6 +0\.6667 +26 +best$/m);
    expect(stdout).toMatch(/^ {2}best {2}step 6 {2}checkpoints.autoencoder.best\.safetensors {2}hash6$/m);
    const compared = (await runs('compare', '1', 'latest')).stdout;
    expect(compared).toMatch(/^params that differ +run 1 +run 2\nseed +4 +5\ntraining\.batch +16 +-$/m);
    expect(compared).toMatch(/^validation\/loss +0\.3333 +0\.6667 +\+0\.3333$/m);
  });

  it('gives values with --json', async () => {
    addRun(cwd());
    addRun(cwd());
    const json = async (...words: string[]) => JSON.parse((await runs(...words, '--json')).stdout);
    expect((await json('list')).map(({ id }: { id: number }) => id)).toEqual([2, 1]);
    expect(await json('show', '1')).toMatchObject({ id: 1, seed: 4, lastStep: 6, params: { seed: 4 } });
    expect(await json('compare', '1', '2')).toMatchObject({ a: 1, b: 2, params: [] });
    const plot = await json('plot', '1', '--metric', 'psnr');
    expect(plot).toEqual({
      metric: 'psnr',
      output: null,
      curves: [
        {
          run: 1,
          stage: 'autoencoder',
          metric: 'validation/psnr',
          columns: [3, 6].map((step) => ({ step, low: 20 + step, high: 20 + step, mean: 20 + step })),
        },
      ],
    });
  });

  it('draws in the terminal, or into a file in the project folder', async () => {
    addRun(cwd());
    expect((await runs('plot', 'latest')).stdout).toMatch(/^run 1 \(autoencoder\) loss\n *1\.0 ┤/);
    const { stdout } = await runs('plot', '1', '-o', 'plots/curves.svg');
    expect(stdout).toBe(join(cwd(), 'plots', 'curves.svg'));
    expect(readFileSync(stdout, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  });

  it('ends with 2 for what is wrongly written and 1 for what is not there', async () => {
    const outcome = async (...words: string[]) => {
      const { code, stderr } = await runs(...words);
      return [code, stderr.split('\n')[0]];
    };
    expect(await outcome('show', 'first')).toEqual([
      2,
      'error USAGE: RUN first: must be a number or `latest`',
    ]);
    expect(await outcome('show', '1')).toEqual([1, 'error RUN_MISSING: there is no run 1']);
    expect(await outcome('plot', 'latest')).toEqual([1, 'error RUN_MISSING: there is no run yet']);
  });
});
