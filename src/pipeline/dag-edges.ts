import type { StageNode } from './describe.js';

/**
 * For each stage those it comes right after: of its direct dependencies, the ones that no other of them comes after
 * (the transitive reduction). What a picture needs, since an arrow that follows from others only hides them.
 * @param nodes in running order
 */
export function neededEdges(nodes: readonly StageNode[]): Map<string, string[]> {
  const position = new Map(nodes.map(({ stage }, index) => [stage, index]));
  // A bit for each stage that one comes after, near or far: thousands of stages take a few megabytes.
  const words = Math.ceil(nodes.length / 32);
  const before: Uint32Array[] = [];
  const edges = new Map<string, string[]>();
  for (const { stage, after } of nodes) {
    const own = new Uint32Array(words);
    const far = new Uint32Array(words);
    // A picture of a part of the pipeline has no stages but these.
    const direct = after.flatMap((name) => position.get(name) ?? []).sort((one, other) => one - other);
    for (const index of direct) {
      for (let word = 0; word < words; word++) far[word]! |= before[index]![word]!;
      own[index >> 5]! |= 1 << (index & 31);
    }
    const needed = direct.filter((index) => (far[index >> 5]! & (1 << (index & 31))) === 0);
    for (let word = 0; word < words; word++) own[word]! |= far[word]!;
    before.push(own);
    edges.set(
      stage,
      needed.map((index) => nodes[index]!.stage),
    );
  }
  return edges;
}
