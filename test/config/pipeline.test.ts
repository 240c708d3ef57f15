import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadPipelineConfig } from '../../src/config/pipeline.js';
import { loadPipeline } from '../../src/pipeline/stage.js';
import { pipelineStatus } from '../../src/pipeline/status.js';
import { temporaryFolder } from '../pipeline/project.js';

let cwd: string;
beforeEach(async () => {
  cwd = await temporaryFolder();
});

async function load(text: string) {
  await writeFile(join(cwd, 'pipeline.yaml'), text);
  return Object.fromEntries(loadPipelineConfig(cwd).stages.map(({ name, config }) => [name, config]));
}

const shipped = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

describe('pipeline.yaml', () => {
  it('is accepted as it is shipped, with every param in params.yaml', async () => {
    for (const name of ['pipeline.yaml', 'params.yaml']) await cp(shipped(name), join(cwd, name));
    expect((await loadPipeline(cwd)).order.map(({ name }) => name)).toEqual([
      'etl',
      'train-autoencoder',
      'train-neural-operator',
      'train-diffusion',
      'evaluate',
      'register',
    ]);
    const statuses = await pipelineStatus({ cwd });
    expect(statuses.map(({ reasons }) => reasons.at(-1)!.kind)).toEqual(Array(6).fill('never-run'));
  });

  it('takes every key of a stage, one command or several, and outputs with or without flags', async () => {
    const { a } = await load(`
stages:
  a:
    cmd: one
    metrics: [plain.json, {flagged.json: {cache: false}}]
    plots: [curve.csv: {x: step, y: loss, title: Loss}]
    params: [seed, other.json: [a.b], whole.yaml:]
    frozen: true
    desc: text
    meta: {owner: me}
    env: [REGION]
    resources: {gpu: 1}
    mutex: disk
    timeout: 10m
    retries: {count: 3, delay: 500ms}
    grace: 2
`);
    expect(a).toEqual({
      cmd: ['one'],
      wdir: '.',
      deps: [],
      params: ['seed', { 'other.json': ['a.b'] }, { 'whole.yaml': null }],
      outs: [],
      metrics: [
        { 'plain.json': { cache: true, persist: false, push: true } },
        { 'flagged.json': { cache: false, persist: false, push: true } },
      ],
      plots: [
        {
          'curve.csv': {
            cache: true,
            persist: false,
            push: true,
            header: true,
            x: 'step',
            y: ['loss'],
            title: 'Loss',
          },
        },
      ],
      frozen: true,
      always_changed: false,
      desc: 'text',
      meta: { owner: 'me' },
      env: ['REGION'],
      resources: { gpu: 1, slots: 1 },
      mutex: ['disk'],
      timeout: 600_000,
      retries: { count: 3, delay: 500 },
      grace: 2000,
    });
    expect((await load('stages: {a: {cmd: [one, two]}}')).a!.cmd).toEqual(['one', 'two']);
  });

  it.each([
    ['stages:\n  a:\n    cmd: x\n    dep: [y]\n', 'CONFIG_UNKNOWN_KEY', 'unknown key `stages.a.dep`', 4, 5],
    [
      'stages:\n  a:\n    cmd: x\n    outs:\n      - y:\n          cahce: false\n',
      'CONFIG_UNKNOWN_KEY',
      'unknown key `stages.a.outs.0.y.cahce`',
      6,
      11,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    deps: y\n',
      'CONFIG_INVALID',
      '`stages.a.deps`: Invalid input: expected array, received string',
      4,
      11,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    deps: [y, 3]\n',
      'CONFIG_INVALID',
      '`stages.a.deps.1`: Invalid input: expected string, received number',
      4,
      15,
    ],
    [
      'stages:\n  a:\n    cmd: 3\n',
      'CONFIG_INVALID',
      '`stages.a.cmd`: must be a command or a list of commands',
      3,
      10,
    ],
    ['stages:\n  a:\n    cmd: []\n', 'CONFIG_INVALID', '`stages.a.cmd`: needs at least one command', 3, 10],
    [
      'stages:\n  a:\n    deps: [x]\n',
      'CONFIG_INVALID',
      '`stages.a.cmd`: must be a command or a list of commands',
      2,
      3,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    outs: [3]\n',
      'CONFIG_INVALID',
      '`stages.a.outs.0`: must be a path, or a path with its flags: {path: {cache: false}}',
      4,
      12,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    outs: [y: {cache: maybe}]\n',
      'CONFIG_INVALID',
      '`stages.a.outs.0.y.cache`: Invalid input: expected boolean, received string',
      4,
      23,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    frozen: "yes"\n',
      'CONFIG_INVALID',
      '`stages.a.frozen`: Invalid input: expected boolean, received string',
      4,
      13,
    ],
    [
      'stages:\n  a: x\n',
      'CONFIG_INVALID',
      '`stages.a`: Invalid input: expected object, received string',
      2,
      6,
    ],
    ['', 'CONFIG_INVALID', '`stages`: must be a map of stages', 1, 1],
    [
      'stages:\n  a: {cmd: x, deps: [y, "s3://bucket/z"]}\n',
      'CONFIG_INVALID',
      '`stages.a.deps.1`: is an address: only local files and folders count',
      2,
      25,
    ],
    [
      'stages:\n  a:\n    cmd: x\n    outs: ["https://example.org/x": {cache: false}]\n',
      'CONFIG_INVALID',
      'is an address: only local files and folders count',
      4,
      12,
    ],
    [
      'stages:\n  a: {cmd: x}\n  a: {cmd: y}\n',
      'CONFIG_SYNTAX',
      'is not valid YAML: Map keys must be unique',
      3,
      3,
    ],
  ])('refuses %j', async (text, code, message, line, column) => {
    await expect(load(text)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
      location: { file: 'pipeline.yaml', line, column },
      exitCode: 2,
    });
  });

  it('refuses a stage name that cannot be that of a file', async () => {
    await expect(load('stages:\n  ../a: {cmd: x}\n')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      location: { line: 2 },
    });
  });
});
