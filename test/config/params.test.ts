import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadParams } from '../../src/config/params.js';
import { temporaryFolder } from '../pipeline/project.js';

const SHIPPED = fileURLToPath(new URL('../../params.yaml', import.meta.url));

let cwd: string;
beforeEach(async () => {
  cwd = await temporaryFolder();
  await cp(SHIPPED, join(cwd, 'params.yaml'));
});

async function edit(from: RegExp, to: string): Promise<{ line: number }> {
  const path = join(cwd, 'params.yaml');
  const text = await readFile(path, 'utf8');
  expect(text).toMatch(from);
  await writeFile(path, text.replace(from, to));
  return { line: text.slice(0, text.search(from)).split('\n').length };
}

describe('params.yaml', () => {
  it('is accepted as it is shipped', () => {
    expect(loadParams(cwd).data.output).toBe('data/processed');
  });

  it('refuses an unknown key, and says where it is and which keys are known there', async () => {
    const { line } = await edit(/ {2}cache_bytes/, '  colour: red\n  cache_bytes');
    expect(() => loadParams(cwd)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_UNKNOWN_KEY',
        message: 'params.yaml: unknown key `training.colour`',
        location: { file: 'params.yaml', line, column: 3 },
        source: '  colour: red',
        hint: expect.stringContaining('Known keys here: crop, batch, cache_bytes'),
      }),
    );
  });

  it('refuses a wrong type, and says where it is', async () => {
    const { line } = await edit(/batch: \d+\n {2}cache/, 'batch: many\n  cache');
    expect(() => loadParams(cwd)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(
          /^params\.yaml: `training\.batch`: .*expected number, received string/,
        ),
        location: { file: 'params.yaml', line, column: 10 },
      }),
    );
  });

  it.each(['null', '[2]', '[2, 3.5, 8]', '{ from: 1.5, to: 4 }'])('takes training.scales %s', (scales) => {
    expect(loadParams(cwd, [`training.scales=${scales}`]).training.scales).toEqual(parse(scales) as unknown);
  });

  it.each([
    [
      '4',
      '`: must be null, a list of scales such as [2, 4], or { from: 2, to: 4 }; all above 1 and at most 8',
    ],
    ['all', '`: must be null, a list'],
    ['{ from: 2 }', '`: must be null, a list'],
    ['[]', '`: Too small'],
    ['[1]', '.0`: Too small: expected number to be >1'],
    ['[2, 9]', '.1`: Too big: expected number to be <=8'],
    ['{ from: 1, to: 2 }', '.from`: Too small: expected number to be >1'],
    ['{ from: 4, to: 2 }', '`: `from` must be below `to`'],
  ])('refuses training.scales %s, and says why', (scales, message) => {
    expect(() => loadParams(cwd, [`training.scales=${scales}`])).toThrow(
      `params.yaml: \`training.scales${message}`,
    );
  });

  it('needs no key that came with a later version', async () => {
    await edit(/ {2}loader_threads: 1\n/, '');
    await edit(/ {2}scales: null\n/, '');
    expect(loadParams(cwd).training).toMatchObject({ loader_threads: 1, scales: null });
  });

  it('refuses a value out of its range', async () => {
    await edit(/strength: .*/, 'strength: 1.5');
    expect(() => loadParams(cwd)).toThrow(
      'params.yaml: `sampling.strength`: Too big: expected number to be <=1',
    );
  });

  it('says where it is no YAML', async () => {
    await edit(/seed: /, 'seed: [');
    expect(() => loadParams(cwd)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_SYNTAX',
        location: expect.objectContaining({ file: 'params.yaml' }),
      }),
    );
  });
});

describe('-S key=value', () => {
  it('replaces values of any type, read as YAML', () => {
    const params = loadParams(cwd, [
      'training.batch=8',
      'evaluation.lpips.weights=w.safetensors',
      'data.split.method=source',
      'registry.gates={}',
    ]);
    expect(params.training.batch).toBe(8);
    expect(params.evaluation.lpips.weights).toBe('w.safetensors');
    expect(params.data.split.method).toBe('source');
    expect(params.registry.gates).toEqual({});
  });

  it('lets the last of two have its way', () => {
    expect(loadParams(cwd, ['seed=1', 'seed=2']).seed).toBe(2);
  });

  it.each([
    ['training.batch', '-S training.batch: expected key=value', 'USAGE'],
    ['=8', '-S =8: expected key=value', 'USAGE'],
    ['trianing.batch=8', '-S trianing.batch=8: params.yaml has no key `trianing.batch`', 'USAGE'],
    ['seed.more=8', '-S seed.more=8: params.yaml has no key `seed.more`', 'USAGE'],
    ['training.bacth=8', 'params.yaml: unknown key `training.bacth`', 'CONFIG_UNKNOWN_KEY'],
    [
      'training.batch=x',
      'params.yaml: `training.batch`: Invalid input: expected number, received string',
      'CONFIG_INVALID',
    ],
    ['__proto__.x=1', '-S __proto__.x=1: params.yaml has no key `__proto__.x`', 'USAGE'],
  ])('refuses %s', (override, message, code) => {
    expect(() => loadParams(cwd, [override])).toThrow(
      expect.objectContaining({ code, message, exitCode: 2 }),
    );
  });
});
