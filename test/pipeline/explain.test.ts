import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { explainStage } from '../../src/pipeline/explain.js';
import { Project } from './project.js';

const PIPELINE = `
stages:
  gather:
    cmd: mkdir -p gathered && cp -r source/. gathered
    deps: [source]
    outs: [gathered]
  count:
    cmd: ls gathered > count.txt
    deps: [gathered, script.sh]
    params: [limits, mode]
    env: [REGION]
    outs: [count.txt]
`;

let project: Project;
beforeEach(async () => {
  vi.stubEnv('REGION', 'north');
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'params.yaml': 'mode: fast\nlimits: {rows: 3, deep: {least: 1}}\n',
    'source/one.txt': '1',
    'source/deep/two.txt': '2',
    'source/three.txt': '3',
    'script.sh': 'echo\n',
  });
  await project.repro();
});

async function explained(stage: string): Promise<string> {
  const { code, stdout, stderr } = await project.run('explain', stage);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

it('says when there is nothing to explain', async () => {
  expect(await explained('count')).toBe('count: up to date\n');
});

it('names each file of a folder that changed, came or went', async () => {
  await project.write('source/deep/two.txt', 'two');
  await project.write('source/new.txt', 'new');
  await rm(join(project.cwd, 'source/one.txt'));
  expect(await explained('gather')).toMatch(
    new RegExp(
      [
        'gather: will run',
        '  - dependency source changed',
        '      changed source/deep/two\\.txt {2}\\(SHA-256 d4735e3a265e -> 3fc4ccfe7458\\)',
        '      added   source/new\\.txt',
        '      removed source/one\\.txt',
        '',
      ].join('\n'),
    ),
  );
});

it('tells the old and the new value of each param and variable, and both commands', async () => {
  vi.stubEnv('REGION', 'south');
  await project.replace('params.yaml', 'rows: 3, deep: {least: 1}', 'rows: 4, deep: {most: [1, 2]}');
  await project.replace('pipeline.yaml', 'ls gathered', 'ls -a gathered');
  await project.write('script.sh', 'echo changed\n');
  const text = await explained('count');
  expect(text.split('\n')).toEqual([
    'count: will run',
    '  - command changed',
    '      from ls gathered > count.txt',
    '      to   ls -a gathered > count.txt',
    '  - dependency script.sh changed',
    expect.stringMatching(/^ {6}changed script\.sh {2}\(SHA-256 [0-9a-f]{12} -> [0-9a-f]{12}\)$/),
    '  - param limits.rows changed from 3 to 4',
    '  - param limits.deep.least removed: 1',
    '  - param limits.deep.most added: [1,2]',
    '  - environment variable REGION changed from "north" to "south"',
    '',
  ]);
  const [found] = await explainStage({ cwd: project.cwd, stage: 'count' });
  expect(found!.causes).toContainEqual(
    expect.objectContaining({ reason: { kind: 'param-removed', key: 'limits.deep.least' }, from: 1 }),
  );
});

describe('a stage that runs because of another', () => {
  it('is explained down to the file that changed there', async () => {
    await project.write('source/three.txt', 'three');
    const lines = (await explained('count')).split('\n');
    expect(lines.slice(0, 3)).toEqual([
      'count: will run',
      '  - upstream stage gather will run',
      '      - dependency source changed',
    ]);
    expect(lines[3]).toMatch(/^ {10}changed source\/three\.txt/);
  });

  it('is explained by the files of an output that changed behind its back', async () => {
    await project.write('gathered/one.txt', 'edited');
    const found = await explainStage({ cwd: project.cwd, stage: 'gather' });
    expect(found[0]!.causes[0]).toMatchObject({
      reason: { kind: 'output-changed', path: 'gathered' },
      files: [{ change: 'changed', path: 'gathered/one.txt' }],
    });
  });
});

it('does not guess where the list of a folder is lost', async () => {
  await rm(join(project.cwd, '.hndsr/objects'), { recursive: true });
  await project.write('source/three.txt', 'three');
  expect(await explained('gather')).toContain('which of its files is not known');
});

it('explains each stage of a template, and refuses a stage that is not there', async () => {
  await project.write('pipeline.yaml', 'stages:\n  t:\n    foreach: [a, b]\n    do: {cmd: "echo ${item}"}\n');
  expect(await explained('t')).toBe('t@a: will run\n  - never run\nt@b: will run\n  - never run\n');
  const { code, stderr } = await project.run('explain', 'tt');
  expect([code, stderr]).toEqual([2, expect.stringContaining('PIPELINE_UNKNOWN_STAGE')]);
});
