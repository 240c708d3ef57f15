import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadPipeline } from '../../src/pipeline/stage.js';
import { Project } from './project.js';

async function commands(pipeline: string, params = ''): Promise<Record<string, string>> {
  const { cwd } = await Project.create({ 'pipeline.yaml': pipeline, 'params.yaml': params });
  return Object.fromEntries(
    (await loadPipeline(cwd)).order.map((stage) => [stage.name, stage.commands.join('\n')]),
  );
}

describe('foreach', () => {
  it('over a list of values names a stage by each', async () => {
    const text = 'stages:\n  a:\n    foreach: [x, 2, true]\n    do: {cmd: "run ${item}"}\n';
    expect(await commands(text)).toEqual({ 'a@x': 'run x', 'a@2': 'run 2', 'a@true': 'run true' });
  });

  it('over a list of maps names them by index', async () => {
    const text =
      'stages:\n  a:\n    foreach: [{n: 1, m: x}, {n: 2, m: y}]\n    do: {cmd: "run ${item.n} ${item.m}"}\n';
    expect(await commands(text)).toEqual({ 'a@0': 'run 1 x', 'a@1': 'run 2 y' });
  });

  it('over a map names them by key; the list or map may come from params.yaml', async () => {
    const text =
      'stages:\n  a:\n    foreach: ${models}\n    do: {cmd: "run ${key} ${item.lr} ${item.data[0]}"}\n';
    const params = 'models:\n  us: {lr: 1, data: [a]}\n  eu: {lr: 2, data: [b]}\n';
    expect(await commands(text, params)).toEqual({ 'a@us': 'run us 1 a', 'a@eu': 'run eu 2 b' });
  });
});

describe('matrix', () => {
  it('makes every combination, named by its values, or by axis and index where they are maps', async () => {
    const text = `
stages:
  train:
    matrix:
      model: [cnn, xgb]
      feature: \${features}
    cmd: run \${item.model} \${item.feature.name} \${key}
`;
    expect(await commands(text, 'features: [{name: f1}, {name: f2}]')).toEqual({
      'train@cnn-feature0': 'run cnn f1 cnn-feature0',
      'train@cnn-feature1': 'run cnn f2 cnn-feature1',
      'train@xgb-feature0': 'run xgb f1 xgb-feature0',
      'train@xgb-feature1': 'run xgb f2 xgb-feature1',
    });
  });

  it('has as many stages as the product of its lists, each named once', async () => {
    const axis = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 4 });
    const { cwd, write } = await Project.create({ 'pipeline.yaml': '' }).then((project) => ({
      cwd: project.cwd,
      write: (text: string) => project.write('pipeline.yaml', text),
    }));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), axis, { minKeys: 1, maxKeys: 3 }),
        async (lists) => {
          const template = { matrix: lists, cmd: 'run ${item}' };
          await write(JSON.stringify({ stages: { t: template } }));
          const names = (await loadPipeline(cwd)).order.map(({ name }) => name);
          const expected = Object.values(lists).reduce((product, list) => product * list.length, 1);
          expect(new Set(names).size).toBe(expected);
        },
      ),
      { numRuns: 30 },
    );
  });
});

const CHAIN = `
stages:
  split:
    foreach: [north, south/west]
    do:
      cmd: mkdir -p out/\${item} && echo \${item} > out/\${item}/part
      outs: ['out/\${item}/part']
  join:
    cmd: cat out/*/part out/*/*/part > all
    deps: [out]
    outs: [all]
`;

it('runs the stages of a template, each with its own entry and log, and all of them by its name', async () => {
  const project = await Project.create({ 'pipeline.yaml': CHAIN });
  expect(await project.ran({ targets: ['split'] })).toEqual(['split@north', 'split@south/west']);
  expect(await project.ran()).toEqual(['join']);
  expect(await project.read('all')).toBe('north\nsouth/west\n');
  expect(await project.read('hndsr.lock')).toContain('\n  split@south/west:\n');
  expect(await project.read('.hndsr/logs/split@south%2Fwest.log')).toContain('$ mkdir');
  await project.replace('pipeline.yaml', 'echo ${item}', 'printf "%s\\n" ${item}');
  expect(await project.ran({ targets: ['split@north'] })).toEqual(['split@north']);
});

it.each([
  ['a:\n    foreach: [x]\n    do: {cmd: x}\n    frozen: true', '`frozen` stands beside `foreach`', 5, 5],
  ['a:\n    foreach: [x]', '`foreach` needs `do`', 3, 5],
  ['a:\n    foreach: 3\n    do: {cmd: x}', '`foreach` must be a list or a map', 3, 14],
  ['a:\n    matrix: [x]\n    cmd: x', '`matrix` must be a map of lists', 3, 13],
  ['a:\n    matrix: {m: x}\n    cmd: x', '`matrix.m` must be a list', 3, 17],
  ['a:\n    foreach: [1, "1"]\n    do: {cmd: x}', 'two stages would be named `a@1`', 3, 14],
  ['a:\n    foreach: [x]\n    do:\n      cmd: x ${item.y}', '`${item.y}`: nothing is named', 5, 14],
  ['a:\n    foreach: [x]\n    do:\n      cmd: x\n      dep: [y]', 'unknown key `stages.a.do.dep`', 6, 7],
  ['a:\n    foreach: [x]\n    do:\n      cmd: x ${key}', '`${key}`: nothing is named', 5, 14],
])('refuses %j at its place', async (text, message, line, column) => {
  await expect(commands(`stages:\n  ${text}\n`)).rejects.toMatchObject({
    message: expect.stringContaining(message),
    location: { file: 'pipeline.yaml', line, column },
    exitCode: 2,
  });
});
