import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'in.txt': '1',
    'pipeline.yaml': `
stages:
  first: {cmd: cp in.txt first.txt, deps: [in.txt], outs: [first.txt]}
  second: {cmd: cp first.txt second.txt, deps: [first.txt], outs: [second.txt]}
  third: {cmd: cp second.txt third.txt, deps: [second.txt], outs: [third.txt]}
  apart: {cmd: echo apart > apart.txt, outs: [apart.txt]}
`,
  });
  await project.repro();
  await project.write('in.txt', '2');
});

describe('--single-item', () => {
  it('runs the named stages alone', async () => {
    expect(await project.ran({ singleItem: true, targets: ['second'] })).toEqual([]);
    expect(await project.ran({ singleItem: true, targets: ['second'], force: true })).toEqual(['second']);
    expect(await project.ran({ singleItem: true, targets: ['first'] })).toEqual(['first']);
    expect(Object.keys(await project.stale())).toEqual(['second', 'third']);
  });

  it('keeps the order of stages that are joined by one that is not named', async () => {
    await project.replace(
      'pipeline.yaml',
      'cp second.txt third.txt',
      'echo third >> trace; cp second.txt third.txt',
    );
    await project.replace(
      'pipeline.yaml',
      'cp in.txt first.txt',
      'sleep 0.2; echo first >> trace; cp in.txt first.txt',
    );
    const targets = ['third', 'first'];
    expect(await project.ran({ singleItem: true, targets, jobs: 4 })).toEqual(['first', 'third']);
    expect(await project.read('trace')).toBe('first\nthird\n');
  });

  it('cannot do without what it depends on', async () => {
    await project.write(
      'pipeline.yaml',
      (await project.read('pipeline.yaml')).replaceAll('second.txt', '2nd.txt'),
    );
    await expect(project.repro({ singleItem: true, targets: ['third'] })).rejects.toMatchObject({
      code: 'PIPELINE_DEPENDENCY_MISSING',
      message: 'stage `third` depends on 2nd.txt, which is not there',
    });
  });
});

describe('--downstream', () => {
  it('runs the named stages and those that depend on them', async () => {
    const forced = { downstream: true, targets: ['second'], force: true };
    expect(await project.ran(forced)).toEqual(['second', 'third']);
    expect(await project.ran({ downstream: true, targets: ['first'] })).toEqual(['first', 'second', 'third']);
    expect(await project.stale()).toEqual({});
  });

  it('tells with --dry what would run', async () => {
    const { stdout } = await project.run('repro', '--dry', '--downstream', 'first');
    expect(stdout).toBe(
      'first: would run (dependency in.txt changed)\nsecond: would run (upstream stage first will run)\n' +
        'third: would run (upstream stage second will run)\n',
    );
  });
});

it.each([
  [['--single-item'], '--single-item needs the name of a stage'],
  [['--downstream'], '--downstream needs the name of a stage'],
  [['--downstream', '--single-item', 'first'], '--single-item and --downstream exclude one another'],
])('repro %j is refused', async (words, message) => {
  const { code, stderr } = await project.run('repro', ...words);
  expect(code).toBe(2);
  expect(stderr).toContain(`error USAGE: ${message}\n`);
});
