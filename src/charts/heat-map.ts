import { escapeText } from './escape.js';

export interface HeatMap {
  title: string;
  xLabel: string;
  yLabel: string;
  /** Names of the columns, from the left. */
  columns: readonly string[];
  /** Names of the rows, from the top. */
  rows: readonly string[];
  /** By row and column, 0 or more. */
  values: readonly (readonly number[])[];
  /** A value as it stands in its cell. */
  show(value: number): string;
}

const WIDTH = 960;
const LEFT = 200;
const TOP = 56;
/** Below the cells, where names lie flat and where they are turned. */
const BOTTOM = { flat: 72, turned: 150 };
const RIGHT = 28;
const LARGEST_CELL = 72;

/** Characters of a name that there is room for. */
const NAME_LENGTH = 18;

/** About how wide one is. */
const CHARACTER = 7.5;

/** A table whose cells are the darker the greater their values: one SVG file, without anything from elsewhere. */
export function drawHeatMap({ title, xLabel, yLabel, columns, rows, values, show }: HeatMap): string {
  const cell = Math.min(LARGEST_CELL, (WIDTH - LEFT - RIGHT) / columns.length);
  const [width, height] = [cell * columns.length, cell * rows.length];
  const turned = columns.some((name) => Math.min(name.length, NAME_LENGTH) * CHARACTER > cell);
  const whole = TOP + height + (turned ? BOTTOM.turned : BOTTOM.flat);
  const most = Math.max(...values.flat(), Number.MIN_VALUE);
  const middle = (index: number): string => ((index + 0.5) * cell).toFixed(1);
  const cells = values.flatMap((row, y) =>
    row.map((value, x) => {
      const share = value / most;
      const at = `x="${(x * cell).toFixed(1)}" y="${(y * cell).toFixed(1)}"`;
      const side = cell.toFixed(1);
      const fill = `fill="#0072b2" fill-opacity="${(0.04 + 0.96 * share).toFixed(3)}"`;
      const text = `x="${middle(x)}" y="${middle(y)}" dy="0.35em" text-anchor="middle"`;
      return [
        `<rect ${at} width="${side}" height="${side}" ${fill} stroke="#ffffff"/>`,
        `<text ${text} fill="${share > 0.5 ? '#ffffff' : '#202124'}">${escapeText(show(value))}</text>`,
      ].join('');
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${whole}" viewBox="0 0 ${WIDTH} ${whole}" role="img" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="${Math.min(13, cell / 3).toFixed(1)}" fill="#3c4043">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="${WIDTH}" height="${whole}" fill="#ffffff"/>`,
    `<text x="24" y="30" font-size="16" font-weight="600" fill="#202124">${escapeText(title)}</text>`,
    `<g transform="translate(${LEFT} ${TOP})">`,
    ...cells,
    ...rows.map(
      (name, y) => `<text x="-10" y="${middle(y)}" dy="0.35em" text-anchor="end">${shortened(name)}</text>`,
    ),
    ...columns.map((name, x) => {
      const at = `translate(${middle(x)} ${(height + (turned ? 12 : 20)).toFixed(1)})`;
      const place = turned ? `${at} rotate(-50)" text-anchor="end` : `${at}" text-anchor="middle`;
      return `<text transform="${place}">${shortened(name)}</text>`;
    }),
    `<text x="${width / 2}" y="${whole - TOP - 22}" text-anchor="middle" font-size="13">${escapeText(xLabel)}</text>`,
    `<text transform="translate(${-LEFT + 24} ${height / 2}) rotate(-90)" text-anchor="middle" font-size="13">${escapeText(yLabel)}</text>`,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

function shortened(name: string): string {
  return escapeText(name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 3)}...` : name);
}
