import { dirname } from 'node:path';
import type { YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { Output, Stage } from './stage.js';

/** Stages, each after all it depends on. */
export interface Graph {
  /** In an order to run them in: that of pipeline.yaml wherever dependencies leave a choice. */
  order: readonly Stage[];
  /** The stages whose outputs a stage depends on, directly, in the order of pipeline.yaml. */
  upstream: ReadonlyMap<string, readonly string[]>;
}

/**
 * Joins stages by their paths: a stage comes after another when one of its dependencies is, lies in, or holds an
 * output of the other.
 * @throws HndsrError PIPELINE_CYCLE; CONFIG_INVALID when two outputs are the same or one lies in the other
 */
export function buildGraph(stages: readonly Stage[], file: YamlFile): Graph {
  const producers = indexOutputs(stages, file);
  const upstream = findUpstream(stages, producers);
  const names = stages.map((stage) => stage.name);
  const { order, cycle } = topologicalOrder(names, upstream);
  if (cycle !== undefined) throw cycleError(cycle, stages, file);
  const byName = new Map(stages.map((stage) => [stage.name, stage]));
  return { order: order.map((name) => byName.get(name)!), upstream };
}

/** A path and every folder above it. */
export function* withAncestors(absolute: string): Generator<string> {
  for (let path = absolute; ; path = dirname(path)) {
    yield path;
    if (path === dirname(path)) return;
  }
}

interface Produced {
  stage: Stage;
  output: Output;
}

function indexOutputs(stages: readonly Stage[], file: YamlFile): Map<string, Produced> {
  const producers = new Map<string, Produced>();
  for (const stage of stages) {
    for (const output of stage.outs) {
      const other = producers.get(output.absolute);
      if (other !== undefined) throw overlapError({ stage, output }, other, file);
      producers.set(output.absolute, { stage, output });
    }
  }
  const above = nearest((path) => producers.get(path));
  for (const inner of producers.values()) {
    const outer = above(dirname(inner.output.absolute));
    if (outer !== undefined) throw overlapError(inner, outer, file);
  }
  return producers;
}

/**
 * Looks a path up, or else the folder next above it that is there. Each folder is climbed from once: thousands of
 * paths share theirs.
 */
function nearest<T>(at: (path: string) => T | undefined): (path: string) => T | undefined {
  const known = new Map<string, T | undefined>();
  return function find(path: string): T | undefined {
    const found = at(path);
    if (found !== undefined) return found;
    const folder = dirname(path);
    if (folder === path) return undefined;
    if (!known.has(folder)) known.set(folder, find(folder));
    return known.get(folder);
  };
}

function overlapError(one: Produced, other: Produced, file: YamlFile): HndsrError {
  const [first, second] = [one.output.path, other.output.path];
  const relation = first === second ? 'is also' : `lies in \`${second}\`,`;
  const owner = one.stage === other.stage ? 'the same stage' : `stage \`${other.stage.name}\``;
  return new HndsrError(
    'CONFIG_INVALID',
    `${file.name}: output \`${first}\` of stage \`${one.stage.name}\` ${relation} an output of ${owner}`,
    {
      ...file.locate(one.output.key),
      hint: 'A path is made by one stage and declared once: give each stage a file or folder of its own.',
    },
  );
}

function findUpstream(stages: readonly Stage[], producers: Map<string, Produced>): Map<string, string[]> {
  const position = new Map(stages.map((stage, index) => [stage.name, index]));
  const dependents = new Map<string, Stage[]>();
  const found = new Map(stages.map((stage) => [stage.name, new Set<string>()]));
  // No output lies in another, so at most one is or holds a path.
  const producerOf = nearest((path) => producers.get(path));
  for (const stage of stages) {
    for (const { absolute } of stage.deps) {
      const sharing = dependents.get(absolute);
      if (sharing === undefined) dependents.set(absolute, [stage]);
      else sharing.push(stage);
      const producer = producerOf(absolute);
      if (producer !== undefined) found.get(stage.name)!.add(producer.stage.name);
    }
  }
  // The dependency folders, innermost first, that an output lies in.
  const holders = nearest((path) => (dependents.has(path) ? path : undefined));
  for (const [absolute, { stage }] of producers) {
    for (let path = holders(dirname(absolute)); path !== undefined; path = holders(dirname(path))) {
      for (const dependent of dependents.get(path)!) found.get(dependent.name)!.add(stage.name);
      if (path === dirname(path)) break;
    }
  }
  const inOrder = (names: Set<string>) => [...names].sort((a, b) => position.get(a)! - position.get(b)!);
  return new Map([...found].map(([name, names]) => [name, inOrder(names)]));
}

/**
 * Depth-first order: each name after its upstream names, else as given. Or a cycle, each name after the one that
 * it depends on.
 */
export function topologicalOrder(
  names: readonly string[],
  upstream: ReadonlyMap<string, readonly string[]>,
): { order: string[]; cycle?: string[] } {
  const order: string[] = [];
  const finished = new Set<string>();
  for (const start of names) {
    // An explicit stack: a chain of thousands of stages would overflow that of the language.
    const path: { name: string; next: number }[] = [];
    const onPath = new Set<string>();
    const enter = (name: string): void => {
      path.push({ name, next: 0 });
      onPath.add(name);
    };
    if (!finished.has(start)) enter(start);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const needed = upstream.get(top.name)?.[top.next++];
      if (needed === undefined) {
        path.pop();
        onPath.delete(top.name);
        finished.add(top.name);
        order.push(top.name);
      } else if (onPath.has(needed)) {
        const cycle = path.map((entry) => entry.name).slice(path.findIndex((entry) => entry.name === needed));
        return { order: [], cycle: cycle.reverse() };
      } else if (!finished.has(needed)) enter(needed);
    }
  }
  return { order };
}

function cycleError(cycle: string[], stages: readonly Stage[], file: YamlFile): HndsrError {
  // Told from the stage that comes first in the file, whichever one the search met first.
  const { name: start, key } = stages.find((stage) => cycle.includes(stage.name))!;
  const from = cycle.indexOf(start);
  const names = [...cycle.slice(from), ...cycle.slice(0, from)];
  const circle = [...names, start].map((name) => `\`${name}\``).join(' -> ');
  return new HndsrError(
    'PIPELINE_CYCLE',
    names.length === 1
      ? `${file.name}: stage \`${start}\` depends on its own output`
      : `${file.name}: these stages wait for one another: ${circle}`,
    {
      ...file.locate(key, 'key'),
      hint: `Remove a dependency that closes the circle: ${links(names, stages).join('; ')}.`,
    },
  );
}

function links(names: string[], stages: readonly Stage[]): string[] {
  return names.map((name, index) => {
    const producer = stages.find((stage) => stage.name === name)!;
    const user = stages.find((stage) => stage.name === names[(index + 1) % names.length])!;
    const dependency = user.deps.find((dep) =>
      producer.outs.some((out) => overlaps(dep.absolute, out.absolute)),
    );
    return `\`${user.name}\` needs \`${dependency?.path}\` of \`${name}\``;
  });
}

/** Whether two paths are the same or one lies in the other. */
export function overlaps(one: string, other: string): boolean {
  return [...withAncestors(one)].includes(other) || [...withAncestors(other)].includes(one);
}
