import { neededEdges } from './dag-edges.js';
import type { StageNode } from './describe.js';

/**
 * The stages as a tree for a terminal, each once, below the last of those it comes after; the others are named beside
 * it. A stage that alone follows another stays in its column, so that a long chain does not run off the screen.
 * @param nodes in running order
 */
export function drawTree(nodes: readonly StageNode[]): string {
  const edges = neededEdges(nodes);
  const followers = new Map<string, StageNode[]>(nodes.map(({ stage }) => [stage, []]));
  const roots: StageNode[] = [];
  for (const node of nodes) {
    const above = edges.get(node.stage)!.at(-1);
    if (above === undefined) roots.push(node);
    else followers.get(above)!.push(node);
  }
  const lines: string[] = [];
  const label = ({ stage, frozen }: StageNode): string => {
    const others = edges.get(stage)!.slice(0, -1);
    const also = others.length === 0 ? '' : `  (also after ${others.join(', ')})`;
    return `${stage}${frozen ? ' [frozen]' : ''}${also}`;
  };
  const draw = (start: StageNode, first: string, rest: string): void => {
    lines.push(first + label(start));
    let below = followers.get(start.stage)!;
    for (; below.length === 1; below = followers.get(below[0]!.stage)!) {
      lines.push(`${rest}└ ${label(below[0]!)}`);
    }
    for (const [index, node] of below.entries()) {
      const last = index === below.length - 1;
      draw(node, `${rest}${last ? '└─ ' : '├─ '}`, `${rest}${last ? '   ' : '│  '}`);
    }
  };
  for (const root of roots) draw(root, '', '');
  return lines.join('\n');
}
