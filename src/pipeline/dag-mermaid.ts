import { neededEdges } from './dag-edges.js';
import type { StageNode } from './describe.js';

/** The stages as a Mermaid flowchart, as Markdown files of GitHub and others show it. @param nodes in running order */
export function drawMermaid(nodes: readonly StageNode[]): string {
  const ids = new Map(nodes.map(({ stage }, index) => [stage, `s${index + 1}`]));
  const edges = neededEdges(nodes);
  return [
    'flowchart TD',
    ...nodes.map(({ stage }) => `  ${ids.get(stage)}["${escapeLabel(stage)}"]`),
    ...nodes.flatMap(({ stage }) =>
      edges.get(stage)!.map((above) => `  ${ids.get(above)} --> ${ids.get(stage)}`),
    ),
  ].join('\n');
}

/** Names of a template's stages may hold any text; Mermaid reads numbered entities in quotes. */
function escapeLabel(text: string): string {
  return text.replaceAll(/[^\w@.,/ -]/gu, (character) => `#${character.codePointAt(0)};`);
}
