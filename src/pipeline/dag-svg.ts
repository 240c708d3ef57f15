import dagre, { type Edge, type Point } from '@dagrejs/dagre';
import { escapeText } from '../charts/escape.js';
import { neededEdges } from './dag-edges.js';
import type { StageNode } from './describe.js';

const MARGIN = 20;
const HEIGHT = 34;
const HEIGHT_WITH_TEXT = 52;
const NAME_SIZE = 13;
const TEXT_SIZE = 11;
/** Of the widest common fonts, as a share of the size. */
const CHARACTER_WIDTH = 0.62;
const LONGEST_TEXT = 64;

/** The stages as boxes with their descriptions, joined by arrows, as one SVG file. @param nodes in running order */
export function drawSvg(nodes: readonly StageNode[]): string {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 40, marginx: MARGIN, marginy: MARGIN });
  for (const node of nodes) {
    const text = textOf(node);
    const widest = Math.max(node.stage.length * NAME_SIZE, text.length * TEXT_SIZE) * CHARACTER_WIDTH;
    graph.setNode(node.stage, { width: widest + 28, height: text === '' ? HEIGHT : HEIGHT_WITH_TEXT });
  }
  for (const [stage, above] of neededEdges(nodes)) for (const one of above) graph.setEdge(one, stage, {});
  if (nodes.length > 0) dagre.layout(graph);
  const { width = 2 * MARGIN, height = 2 * MARGIN } = graph.graph() as { width?: number; height?: number };
  const size = `${fixed(width)} ${fixed(height)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${fixed(width)}" height="${fixed(height)}" viewBox="0 0 ${size}" role="img" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" text-anchor="middle" fill="#202124">`,
    '<title>Stages of the pipeline</title>',
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8Z" fill="#80868b"/></marker></defs>',
    `<rect width="${fixed(width)}" height="${fixed(height)}" fill="#ffffff"/>`,
    ...graph.edges().map((edge: Edge) => arrow((graph.edge(edge) as { points: Point[] }).points)),
    ...nodes.map((node) => box(node, graph.node(node.stage) as Point & { width: number; height: number })),
    '</svg>',
  ].join('\n');
}

function box(node: StageNode, { x, y, width, height }: Point & { width: number; height: number }): string {
  const text = textOf(node);
  const dash = node.frozen ? ' stroke-dasharray="4 3"' : '';
  const [left, top] = [fixed(x - width / 2), fixed(y - height / 2)];
  const line = (content: string, at: number, size: number, more: string): string =>
    `<text x="${fixed(x)}" y="${fixed(at)}" dy="0.35em" font-size="${size}"${more}>${escapeText(content)}</text>`;
  return [
    `<rect x="${left}" y="${top}" width="${fixed(width)}" height="${fixed(height)}" rx="6" fill="#e8f0fe" stroke="#5f82c9"${dash}/>`,
    line(node.stage, text === '' ? y : y - 9, NAME_SIZE, ' font-weight="600"'),
    text === '' ? '' : line(text, y + 11, TEXT_SIZE, ' fill="#3c4043"'),
  ].join('');
}

function textOf({ description, frozen }: StageNode): string {
  const text = [frozen ? '[frozen]' : '', description ?? ''].filter(Boolean).join(' ');
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1).trimEnd()}…` : text;
}

/** A smooth line through the middles between the points of the layout. */
function arrow(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${fixed(x)} ${fixed(y)}`;
  const middle = (one: Point, other: Point): Point => ({
    x: (one.x + other.x) / 2,
    y: (one.y + other.y) / 2,
  });
  let path = `M${at(points[0]!)}`;
  for (let index = 1; index < points.length - 1; index++) {
    const [point, next] = [points[index]!, points[index + 1]!];
    path += `Q${at(point)} ${at(index === points.length - 2 ? next : middle(point, next))}`;
  }
  if (points.length === 2) path += `L${at(points[1]!)}`;
  return `<path d="${path}" fill="none" stroke="#80868b" stroke-width="1.5" marker-end="url(#arrow)"/>`;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(1)));
}
