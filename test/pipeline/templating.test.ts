import { describe, expect, it } from 'vitest';
import { loadPipeline } from '../../src/pipeline/stage.js';
import { Project } from './project.js';

/** The stages of a pipeline.yaml, with other files beside it. */
async function load(pipeline: string, files: Record<string, string> = {}) {
  const { cwd } = await Project.create({ 'pipeline.yaml': pipeline, ...files });
  return (await loadPipeline(cwd)).order;
}

async function commandOf(pipeline: string, files: Record<string, string> = {}): Promise<string> {
  return (await load(pipeline, files))[0]!.commands.join('\n');
}

const PARAMS = `
model:
  name: big net
  layers: [64, 32]
  flag: true
  off: false
  lr: 0.001
  nested: { depth: 3 }
data: input/tiles
nothing: null
`;

describe('${...}', () => {
  it('takes values of params.yaml, of files in vars, and inline ones', async () => {
    const text = `
vars:
  - more.json
  - some.yaml:one,two
  - who: {name: me}
stages:
  a: {cmd: "run \${data} \${model.layers[1]} \${ more.x } \${one} \${who.name}"}
`;
    const files = {
      'params.yaml': PARAMS,
      'more.json': '{"more": {"x": 7}}',
      'some.yaml': 'one: 1\ntwo: 2\nthree: 3',
    };
    expect(await commandOf(text, files)).toBe('run input/tiles 32 7 1 me');
    const unpicked = text.replace('${one}', '${three}');
    await expect(commandOf(unpicked, files)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('alone stands for the value whatever its type; its keys are replaced too', async () => {
    const [stage] = await load(
      `
stages:
  a:
    cmd: run
    deps: \${sources}
    frozen: \${model.flag}
    outs:
      - \${data}/made:
          cache: \${model.off}
`,
      { 'params.yaml': `${PARAMS}sources: [one, two]\n` },
    );
    expect(stage!.deps.map(({ path }) => path)).toEqual(['one', 'two']);
    expect(stage!.frozen).toBe(true);
    expect(stage!.outs).toMatchObject([{ path: 'input/tiles/made', cache: false }]);
  });

  it('in a command makes flags of a map and words of a list, quoted for the shell', async () => {
    const text = 'stages:\n  a: {cmd: "run ${model} -- ${model.layers}"}\n';
    expect(await commandOf(text, { 'params.yaml': PARAMS })).toBe(
      "run --name 'big net' --layers 64 32 --flag --lr 0.001 --nested.depth 3 -- 64 32",
    );
  });

  it('after a backslash is left to the shell', async () => {
    const project = await Project.create({
      'pipeline.yaml': 'stages:\n  a:\n    cmd: who=me; echo \\${who} ${data} > out\n    outs: [out]\n',
      'params.yaml': PARAMS,
    });
    await project.repro();
    expect(await project.read('out')).toBe('me input/tiles\n');
  });

  it('makes a stage run again when its value changed, and only that one', async () => {
    const project = await Project.create({
      'pipeline.yaml':
        'stages:\n  a: {cmd: "echo ${data} > a", outs: [a]}\n  b: {cmd: echo b > b, outs: [b]}\n',
      'params.yaml': PARAMS,
    });
    expect(await project.ran()).toEqual(['a', 'b']);
    await project.replace('params.yaml', 'lr: 0.001', 'lr: 0.002');
    expect(await project.ran()).toEqual([]);
    await project.replace('params.yaml', 'input/tiles', 'elsewhere');
    expect(await project.ran()).toEqual(['a']);
    expect(await project.read('a')).toBe('elsewhere\n');
  });

  it("has a stage's own vars, from files of its wdir, in that stage alone", async () => {
    const text = `
stages:
  a:
    vars: [own.yaml, {more: 2}]
    wdir: \${data}
    cmd: run \${own} \${more}
`;
    const files = { 'params.yaml': 'data: deep', 'deep/own.yaml': 'own: 1' };
    expect(await commandOf(text, files)).toBe('run 1 2');
    await expect(load(`${text}  b: {cmd: "run \${own}"}\n`, files)).rejects.toMatchObject({
      message: 'pipeline.yaml: `${own}`: nothing is named `own` in params.yaml or in `vars`',
    });
  });

  it('needs no params.yaml where every value is in vars', async () => {
    expect(await commandOf('vars: [{x: 1}]\nstages: {a: {cmd: "run ${x}"}}')).toBe('run 1');
  });

  it.each([
    ['stages:\n  a:\n    cmd: run ${model.nam}', '${model.nam}', 3, 14, 'Known in `model`: name, layers'],
    [
      'stages:\n  a:\n    cmd: >-\n      run\n      --x ${oops}\n',
      '${oops}',
      5,
      11,
      'Known here: model, data',
    ],
    ['stages:\n  a:\n    cmd: x\n    deps: [a, "b/${oops}/c"]\n', '${oops}', 4, 18, 'Known here'],
    ['stages:\n  a:\n    cmd: x\n    outs: [{"${oops}": {cache: true}}]\n', '${oops}', 4, 14, 'Known here'],
    ['stages:\n  a:\n    cmd: x ${data} ${HOME:-x}\n', '${HOME:-x}', 3, 20, 'write \\${...}'],
    ['stages:\n  a:\n    cmd: x\n    deps: ["a/${model}"]\n', '${model}', 4, 15, 'no single value'],
    ['stages:\n  a: {cmd: "x ${nothing}"}\n', '${nothing}', 2, 15, 'no single value'],
  ])('that cannot be replaced is an error at its place: %j', async (text, place, line, column, part) => {
    const project = await Project.create({ 'pipeline.yaml': text, 'params.yaml': PARAMS });
    const { code, stderr } = await project.run('status');
    expect(code).toBe(2);
    expect(stderr).toContain('error CONFIG_INVALID: pipeline.yaml: ');
    expect(stderr).toContain(part);
    const source = text.split('\n')[line - 1]!;
    const squiggle = `${' '.repeat(column - 1)}^${'~'.repeat(place.length - 1)}`;
    expect(stderr).toContain(
      `  at pipeline.yaml:${line}:${column}\n  ${line} | ${source}\n    | ${squiggle}\n`,
    );
  });

  it.each([
    ['vars: [{data: 1}]', '`data` is among the vars already', 1, 9],
    ['vars:\n  - more.yaml:one,tow', 'more.yaml has no `tow`', 2, 19],
    ['vars: x', '`vars`: must be a list of files', 1, 7],
    ['vars: [gone.yaml]', 'gone.yaml was not found', undefined, undefined],
  ])('refuses %j', async (vars, message, line, column) => {
    const pipeline = `${vars}\nstages: {a: {cmd: x}}\n`;
    await expect(load(pipeline, { 'params.yaml': PARAMS, 'more.yaml': 'one: 1' })).rejects.toMatchObject({
      message: expect.stringContaining(message),
      ...(line === undefined ? {} : { location: { line, column } }),
      exitCode: 2,
    });
  });
});
