import fc from 'fast-check';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { neededEdges } from '../../src/pipeline/dag-edges.js';
import { drawTree } from '../../src/pipeline/dag-tree.js';
import type { StageNode } from '../../src/pipeline/describe.js';
import { Project } from './project.js';

const PIPELINE = `
stages:
  prepare: {cmd: x, outs: [a], desc: raw imagery -> tiles}
  check: {cmd: x, deps: [a], outs: [chk]}
  train:
    foreach: [north, '<b>&"x']
    do: {cmd: x, deps: [a], outs: ['m-\${item}']}
  score: {cmd: x, deps: [m-north, a, chk], outs: [s]}
  join: {cmd: x, deps: [s, 'm-<b>&"x'], frozen: true}
  apart: {cmd: x}
`;

it('draws each stage once, below what it comes after', async () => {
  const project = await Project.create({ 'pipeline.yaml': PIPELINE });
  const { stdout } = await project.run('dag');
  expect(stdout.split('\n')).toEqual([
    'prepare',
    '├─ check',
    '├─ train@north',
    '│  └ score  (also after check)',
    '│  └ join [frozen]  (also after train@<b>&"x)',
    '└─ train@<b>&"x',
    'apart',
    '',
  ]);
  expect((await project.run('dag', 'score')).stdout).not.toContain('join');
});

it('draws a Mermaid flowchart in which no name can break out of its quotes', async () => {
  const project = await Project.create({ 'pipeline.yaml': PIPELINE });
  const { stdout } = await project.run('dag', '--mermaid');
  expect(stdout).toContain('flowchart TD\n  s1["prepare"]\n');
  expect(stdout).toContain('  s4["train@#60;b#62;#38;#34;x"]\n');
  expect(stdout).toContain('  s1 --> s2\n');
  expect(stdout).not.toContain('s1 --> s5');
});

it('draws an SVG picture, with names escaped, that a renderer reads', async () => {
  const project = await Project.create({ 'pipeline.yaml': PIPELINE });
  const { stdout, code } = await project.run('dag', '--svg');
  expect(code).toBe(0);
  expect(stdout).toContain('train@&lt;b&gt;&amp;&quot;x');
  expect(stdout).not.toContain('<b>');
  const { width, height } = await sharp(Buffer.from(stdout)).metadata();
  expect(width).toBeGreaterThan(100);
  expect(height).toBeGreaterThan(100);
});

const node = (stage: string, after: string[]): StageNode => ({
  stage,
  after,
  commands: [],
  deps: [],
  params: [],
  outs: [],
  frozen: false,
  description: null,
});

/** Stages in running order, each after any of those before it. */
const graph = fc
  .integer({ min: 1, max: 40 })
  .chain((count) =>
    fc.array(fc.array(fc.nat(1000), { maxLength: 5 }), { minLength: count, maxLength: count }),
  )
  .map((rows) =>
    rows.map((row, index) => {
      const after = index === 0 ? [] : row.map((one) => `s${one % index}`);
      return node(`s${index}`, [...new Set(after)]);
    }),
  );

function reachable(edges: ReadonlyMap<string, readonly string[]>, from: string): Set<string> {
  const found = new Set<string>();
  const pending = [...(edges.get(from) ?? [])];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (!found.has(name)) pending.push(...(edges.get(name) ?? []));
    found.add(name);
  }
  return found;
}

it('leaves out only arrows that follow from others', () => {
  fc.assert(
    fc.property(graph, (nodes) => {
      const all = new Map(nodes.map(({ stage, after }) => [stage, after]));
      const needed = neededEdges(nodes);
      for (const { stage, after } of nodes) {
        expect(reachable(needed, stage)).toEqual(reachable(all, stage));
        for (const one of needed.get(stage)!) {
          expect(after).toContain(one);
          const others = needed.get(stage)!.filter((other) => other !== one);
          expect(others.some((other) => reachable(all, other).has(one))).toBe(false);
        }
      }
    }),
  );
});

it('has every stage in the tree once, also of a long chain', () => {
  fc.assert(
    fc.property(graph, (nodes) => {
      const names = drawTree(nodes)
        .split('\n')
        .map((line) => /s\d+/.exec(line)![0]);
      expect(names.toSorted()).toEqual(nodes.map(({ stage }) => stage).toSorted());
    }),
  );
  const chain = Array.from({ length: 10_000 }, (_, index) =>
    node(`s${index}`, index === 0 ? [] : [`s${index - 1}`]),
  );
  const lines = drawTree(chain).split('\n');
  expect(lines.length).toBe(10_000);
  expect(lines.at(-1)).toBe('└ s9999');
});
