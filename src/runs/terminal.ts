import { type Axis, stepAxis, valueAxis } from '../charts/axis.js';
import type { Column } from '../store/curves.js';

const BLOCKS = '▁▂▃▄▅▆▇█';

/** A curve in one line of `width` characters or, of fewer columns, as many as there are. */
export function sparkline(columns: readonly Column[], width = 60): string {
  if (columns.length === 0) return '';
  const means = columns.map(({ mean }) => mean);
  const axis = tight(Math.min(...means), Math.max(...means));
  const characters: string[] = [];
  const count = Math.min(width, means.length);
  for (let index = 0; index < count; index++) {
    const value = means[Math.floor(((index + 0.5) * means.length) / count)]!;
    characters.push(BLOCKS[Math.round(axis(value) * (BLOCKS.length - 1))]!);
  }
  return characters.join('');
}

/** Positions from 0 at the least value to 1 at the greatest, by the scale that an axis would have. */
function tight(low: number, high: number): (value: number) => number {
  if (low === high) return () => 0;
  const axis = valueAxis(low, high, 4);
  const [from, to] = [axis.position(low), axis.position(high)];
  return (value) => (axis.position(value) - from) / (to - from);
}

/** The bits of a Braille character (U+2800) from the top row to the bottom, of its left and its right dots. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

export interface TerminalPlot {
  columns: readonly Column[];
  /** Ends of the axes, so that several plots can be held against each other. */
  steps: [number, number];
  values: [number, number];
}

/** Characters of a plot's width: with the labels it fits into the 80 of a narrow terminal. */
export const TERMINAL_COLUMNS = 70;

/** A curve as lines of Braille characters, each of 2 by 4 dots, with axes. */
export function terminalPlot(
  { columns, steps, values }: TerminalPlot,
  width = TERMINAL_COLUMNS,
  height = 12,
): string {
  const [x, y] = [stepAxis(...steps, 6), valueAxis(...values, 5)];
  const dots = trace(columns, x, y, width * 2, height * 4);
  const rowLabels = new Map(
    y.ticks.map(({ value, label }) => [Math.round((1 - y.position(value)) * (height - 1)), label]),
  );
  const margin = Math.max(...[...rowLabels.values()].map(({ length }) => length), 0);
  const lines: string[] = [];
  for (let row = 0; row < height; row++) {
    const label = rowLabels.get(row) ?? '';
    let text = `${label.padStart(margin)} ${label === '' ? '│' : '┤'}`;
    for (let column = 0; column < width; column++) text += character(dots, column, row);
    lines.push(text.replace(/⠀+$/, ''));
  }
  lines.push(`${' '.repeat(margin + 1)}└${'─'.repeat(width)}`, stepLabels(x, width, margin + 2));
  return lines.join('\n');
}

/** Which dots the curve covers: for each column of dots those from its value to that of its neighbour. */
function trace(columns: readonly Column[], x: Axis, y: Axis, width: number, height: number): boolean[][] {
  const dots = Array.from({ length: width }, () => new Array<boolean>(height).fill(false));
  const at = ({ step, mean }: Column): [number, number] => [
    Math.round(x.position(step) * (width - 1)),
    Math.round((1 - y.position(mean)) * (height - 1)),
  ];
  let previous: [number, number] | undefined;
  for (const column of columns) {
    const [toX, toY] = at(column);
    const [fromX, fromY] = previous ?? [toX, toY];
    const length = Math.max(toX - fromX, Math.abs(toY - fromY), 1);
    for (let part = 0; part <= length; part++) {
      const [dotX, dotY] = [fromX + ((toX - fromX) * part) / length, fromY + ((toY - fromY) * part) / length];
      dots[Math.round(dotX)]![Math.round(dotY)] = true;
    }
    previous = [toX, toY];
  }
  return dots;
}

function character(dots: boolean[][], column: number, row: number): string {
  let bits = 0;
  for (const [side, rows] of DOTS.entries()) {
    for (const [line, bit] of rows.entries()) if (dots[column * 2 + side]![row * 4 + line]) bits |= bit;
  }
  return String.fromCodePoint(0x2800 + bits);
}

/** The ticks' labels centred below their places; one that would touch its neighbour is left out. */
function stepLabels(x: Axis, width: number, margin: number): string {
  let text = '';
  for (const { value, label } of x.ticks) {
    const centre = margin + Math.round(x.position(value) * (width - 1));
    const begin = Math.max(0, centre - Math.floor(label.length / 2));
    if (text === '' || begin > text.length) text = text.padEnd(begin) + label;
  }
  return text;
}
