import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../src/config/yaml.js';
import { overlaps, topologicalOrder } from '../../src/pipeline/graph.js';
import { loadPipeline } from '../../src/pipeline/stage.js';
import { Project } from './project.js';

/** An acyclic graph: each stage may need only those of smaller number, and the names come in any order. */
const acyclic = fc
  .integer({ min: 1, max: 25 })
  .chain((count) =>
    fc.tuple(
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, index) => index),
        { minLength: count },
      ),
      fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: count * 3 }),
    ),
  )
  .map(([order, pairs]) => {
    const upstream = new Map<string, string[]>(order.map((index) => [`s${index}`, []]));
    for (const [one, other] of pairs) {
      if (one !== other) upstream.get(`s${Math.max(one, other)}`)!.push(`s${Math.min(one, other)}`);
    }
    return { names: [...upstream.keys()], upstream };
  });

async function load(yaml: string): Promise<ReturnType<typeof loadPipeline>> {
  const { cwd } = await Project.create({ 'pipeline.yaml': yaml });
  return loadPipeline(cwd);
}

async function orderOf(yaml: string): Promise<string[]> {
  return (await load(yaml)).order.map(({ name }) => name);
}

describe('topological order', () => {
  it('puts every stage once, after all it needs', () => {
    fc.assert(
      fc.property(acyclic, ({ names, upstream }) => {
        const { order, cycle } = topologicalOrder(names, upstream);
        expect(cycle).toBeUndefined();
        expect([...order].sort()).toEqual([...names].sort());
        const position = new Map(order.map((name, index) => [name, index]));
        for (const [name, needed] of upstream) {
          for (const other of needed) expect(position.get(other)!).toBeLessThan(position.get(name)!);
        }
      }),
    );
  });

  it('keeps the order of the file where dependencies leave a choice', () => {
    fc.assert(
      fc.property(acyclic, ({ names }) => {
        expect(topologicalOrder(names, new Map()).order).toEqual(names);
      }),
    );
  });

  it('finds a cycle wherever one is closed', () => {
    fc.assert(
      fc.property(acyclic, ({ names, upstream }) => {
        const { order } = topologicalOrder(names, upstream);
        const last = order.at(-1)!;
        const needed = upstream.get(last)!;
        fc.pre(needed.length > 0);
        const closed = new Map([...upstream, [needed[0]!, [...upstream.get(needed[0]!)!, last]]]);
        const { cycle } = topologicalOrder(names, closed);
        expect(cycle!.length).toBeGreaterThan(1);
        for (const [index, name] of cycle!.entries()) {
          expect(closed.get(cycle![(index + 1) % cycle!.length]!)).toContain(name);
        }
      }),
    );
  });

  it('takes a chain of ten thousand stages', () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `s${index}`).reverse();
    const upstream = new Map(names.map((name, index) => [name, names.slice(index + 1, index + 2)]));
    expect(topologicalOrder(names, upstream).order).toEqual([...names].reverse());
  });
});

/** Paths that often are, hold, or lie in one another. */
const path = fc
  .array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));
const declared = fc.array(
  fc.record({ deps: fc.array(path, { maxLength: 3 }), outs: fc.array(path, { maxLength: 2 }) }),
  {
    minLength: 1,
    maxLength: 8,
  },
);

describe('the graph of any declared paths', () => {
  it('joins a stage to all those, and only those, whose outputs its dependencies touch', async () => {
    const project = await Project.create({ 'pipeline.yaml': '' });
    let joined = 0;
    await fc.assert(
      fc.asyncProperty(declared, async (list) => {
        const stages = Object.fromEntries(list.map((paths, index) => [`s${index}`, { cmd: 'x', ...paths }]));
        await project.write('pipeline.yaml', JSON.stringify({ stages }));
        const touching = (index: number) =>
          list.flatMap(({ outs }, other) =>
            outs.some((out) => list[index]!.deps.some((dep) => overlaps(`/${dep}`, `/${out}`)))
              ? [`s${other}`]
              : [],
          );
        const outs = list.flatMap((one) => one.outs);
        const clash = outs.some((one, at) =>
          outs.some((other, index) => index !== at && overlaps(`/${one}`, `/${other}`)),
        );
        const found = await loadPipeline(project.cwd).catch((error) => error);
        if (clash) expect(found).toMatchObject({ code: 'CONFIG_INVALID' });
        else if (found instanceof Error) expect(found).toMatchObject({ code: 'PIPELINE_CYCLE' });
        else {
          for (const index of list.keys()) expect(found.upstream.get(`s${index}`)).toEqual(touching(index));
          const order = found.order.map(({ name }: { name: string }) => name);
          for (const [at, name] of order.entries()) {
            for (const needed of found.upstream.get(name)!) expect(order.indexOf(needed)).toBeLessThan(at);
            joined += found.upstream.get(name)!.length;
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(joined).toBeGreaterThan(0);
  });
});

describe('the graph', () => {
  it('joins a dependency in an output folder, and one that holds an output', async () => {
    expect(
      await orderOf(`
stages:
  gather: {cmd: x, deps: [results]}
  use: {cmd: x, deps: [data/tiles/one.png], outs: [results/use]}
  make: {cmd: x, outs: [data/tiles]}
`),
    ).toEqual(['make', 'use', 'gather']);
  });

  it('does not join paths that only begin alike', async () => {
    const { upstream } = await load(`
stages:
  make: {cmd: x, outs: [data]}
  other: {cmd: x, deps: [data-2/a]}
`);
    expect(upstream.get('other')).toEqual([]);
  });

  it('finds paths from wdir', async () => {
    const { order, upstream } = await load(`
stages:
  use: {cmd: x, deps: [build/out]}
  make: {cmd: x, wdir: build, deps: [../source], outs: [./out/]}
`);
    expect(upstream.get('use')).toEqual(['make']);
    expect(order[0]!.deps[0]!.path).toBe('source');
    expect(order[0]!.outs[0]!.path).toBe('build/out');
  });

  it('names the stages of a cycle, where it is, and what closes it', async () => {
    const project = await Project.create({ 'pipeline.yaml': CYCLE });
    const { code, stderr } = await project.run('status');
    expect(code).toBe(2);
    expect(stderr).toContain(
      'error PIPELINE_CYCLE: pipeline.yaml: these stages wait for one another: `a` -> `b` -> `c` -> `a`\n' +
        '  at pipeline.yaml:3:3\n',
    );
    expect(stderr).toContain('`b` needs `one` of `a`; `c` needs `two` of `b`; `a` needs `three` of `c`');
  });

  it('refuses a stage that depends on its own output', async () => {
    await expect(load('stages:\n  a: {cmd: x, deps: [data], outs: [data/made]}')).rejects.toMatchObject({
      code: 'PIPELINE_CYCLE',
      message: 'pipeline.yaml: stage `a` depends on its own output',
      location: { line: 2, column: 3 },
    });
  });

  it('refuses the same output twice', async () => {
    await expect(
      load('stages:\n  a: {cmd: x, outs: [m.json]}\n  b:\n    cmd: x\n    metrics:\n      - ./m.json\n'),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'pipeline.yaml: output `m.json` of stage `b` is also an output of stage `a`',
      location: { line: 6, column: 9 },
    });
  });

  it('refuses an output in an output', async () => {
    await expect(
      load('stages:\n  a: {cmd: x, outs: [reports/a/b]}\n  b: {cmd: x, outs: [reports]}\n'),
    ).rejects.toMatchObject({
      message: 'pipeline.yaml: output `reports/a/b` of stage `a` lies in `reports`, an output of stage `b`',
      location: { line: 2 },
    });
  });

  it.each([
    ['.', 'the project folder'],
    ['..', 'the project folder'],
    ['.hndsr', '.hndsr'],
    ['.hndsr/objects', '.hndsr'],
    ['pipeline.yaml', 'pipeline.yaml'],
  ])('refuses the output %s, which would take away the project or its state', async (path, what) => {
    await expect(load(`stages:\n  a: {cmd: x, outs: ["${path}"]}`)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(what),
      location: { line: 2, column: 22 },
    });
  });
});

const CYCLE = `
stages:
  a: {cmd: x, deps: [three], outs: [one]}
  b: {cmd: x, deps: [one], outs: [two]}
  c: {cmd: x, deps: [two], outs: [three]}
  d: {cmd: x, deps: [one]}
`;

it('keeps locations in flow and block style', () => {
  expect(parseYaml(CYCLE, 'f').locate(['stages', 'b', 'outs', 0]).location).toEqual({
    file: 'f',
    line: 4,
    column: 35,
  });
});
