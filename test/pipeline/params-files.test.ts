import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { diffParams } from '../../src/pipeline/params-diff.js';
import { Project } from './project.js';

const PYTHON = `import os

LR = 0.1
SEED = 1; OTHER = "x"
ROOT = os.getcwd()


class Model:
    layers = (64, 32)
    width = 2 * LR
`;

const TOML = `
rate = 1.5
when = 2024-05-01
[tool.model]
depth = 3
other = 1
`;

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'params.py': PYTHON,
    'conf/params.toml': TOML,
    'pipeline.yaml': `
vars:
  - params.py:SEED
  - conf/params.toml
stages:
  python:
    cmd: echo \${SEED} > python.txt
    params: [{params.py: [LR, Model.layers]}]
    outs: [python.txt]
  toml:
    cmd: echo \${tool.model.depth} > toml.txt
    params: [{conf/params.toml: [rate, when, tool.model.depth]}]
    outs: [toml.txt]
`,
  });
});

it('values of Python and TOML files are params and fill templates', async () => {
  expect(await project.ran()).toEqual(['python', 'toml']);
  expect([await project.read('python.txt'), await project.read('toml.txt')]).toEqual(['1\n', '3\n']);
  await project.replace('params.py', 'OTHER = "x"', 'OTHER = "y"');
  await project.replace('conf/params.toml', 'other = 1', 'other = 2');
  expect(await project.stale()).toEqual({});
  await project.replace('params.py', '(64, 32)', '(64, 16)');
  await project.replace('conf/params.toml', '2024-05-01', '2024-05-02');
  expect(await project.stale()).toEqual({
    python: ['param params.py:Model.layers changed from [64,32] to [64,16]'],
    toml: ['param conf/params.toml:when changed from "2024-05-01" to "2024-05-02"'],
  });
  await project.replace('params.py', 'SEED = 1', 'SEED = 2');
  expect((await project.stale()).python![0]).toContain('command changed');
});

it('`params diff` tells how they changed', async () => {
  project.commitFirst();
  await project.replace('params.py', 'LR = 0.1', 'LR = 0.2');
  await project.replace('conf/params.toml', 'depth = 3', 'depth = 4');
  expect(await diffParams({ cwd: project.cwd, from: 'HEAD' })).toEqual([
    { file: 'conf/params.toml', key: 'tool.model.depth', from: 3, to: 4 },
    { file: 'params.py', key: 'LR', from: 0.1, to: 0.2 },
  ]);
});

describe('what only Python could tell', () => {
  it.each([
    ['[ROOT]', 'ROOT', 5, 'ROOT = os.getcwd()'],
    ['[Model]', 'Model.width', 10, '    width = 2 * LR'],
    ['null', 'ROOT', 5, 'ROOT = os.getcwd()'],
  ])('is an error where a stage selects it: %s', async (selected, key, line, source) => {
    await project.replace('pipeline.yaml', '[LR, Model.layers]', selected);
    await expect(project.stale()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `params.py: \`${key}\` is no literal: only Python could tell its value`,
      location: { file: 'params.py', line },
      source,
    });
  });

  it('is an error where `vars` name it', async () => {
    await project.replace('pipeline.yaml', 'params.py:SEED', 'params.py:ROOT');
    await expect(project.stale()).rejects.toMatchObject({ location: { file: 'params.py', line: 5 } });
  });
});

it.each(['conf/params.toml', 'params.py'])('tells where %s is named when it is not there', async (path) => {
  await rm(join(project.cwd, path));
  const { code, stderr } = await project.run('status');
  expect(code).toBe(2);
  expect(stderr).toMatch(
    new RegExp(`^error CONFIG_MISSING: ${path} was not found .*\\n {2}at pipeline\\.yaml:\\d+:\\d+\\n`),
  );
});

it('refuses a params file in another form', async () => {
  await project.replace('pipeline.yaml', '{params.py: [LR, Model.layers]}', '{params.ini: [LR]}');
  await expect(project.stale()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'pipeline.yaml: cannot read params from params.ini',
    hint: 'A params file is YAML, JSON, TOML or Python: .yaml, .yml, .json, .toml, .py.',
  });
});
