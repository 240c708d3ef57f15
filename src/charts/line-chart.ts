import type { Column } from '../store/curves.js';
import type { Axis } from './axis.js';
import { escapeText } from './escape.js';

/** A curve of a plot. */
export interface Series {
  label: string;
  colour: string;
  columns: Column[];
  /** Few values, each of weight, as those of validation: marked by dots. */
  marked: boolean;
}

export interface Picture {
  title: string;
  x: Axis;
  y: Axis;
  xLabel: string;
  /** Without one, an axis that is logarithmic says so. */
  yLabel?: string | undefined;
  series: Series[];
}

const WIDTH = 960;
const HEIGHT = 540;
const LEFT = 76;
const RIGHT = 28;
const TOP = 40;
const BOTTOM = 58;
const LEGEND_ROW = 20;

/** How many columns of a plot a reader can tell apart: one for every three points of its width. */
export const PLOT_COLUMNS = Math.floor((WIDTH - LEFT - RIGHT) / 3);

/** More dots than this run into each other. */
const MOST_DOTS = 80;

/**
 * A plot that is one SVG file, without script, font or style from elsewhere. A line is the mean of a column; the band
 * behind it goes from the least value to the greatest.
 */
export function drawLineChart({ title, x, y, xLabel, yLabel, series }: Picture): string {
  const top = TOP + LEGEND_ROW * Math.ceil(series.length / 2);
  const [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - top - BOTTOM];
  const place: Place = {
    x: (step) => LEFT + x.position(step) * width,
    y: (value) => top + (1 - y.position(value)) * height,
  };
  const frame = { left: LEFT, right: LEFT + width, top, bottom: top + height };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="13" fill="#3c4043">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="26" font-size="16" font-weight="600" fill="#202124">${escapeText(title)}</text>`,
    ...legend(series, width / 2),
    ...grid(x, y, place, frame),
    ...axisLabels(xLabel, yLabel ?? '', y.kind, frame),
    ...series.map((one) => band(one, place)),
    ...series.flatMap((one) => line(one, place)),
    `</svg>`,
    '',
  ]
    .filter((part, index, all) => part !== '' || index === all.length - 1)
    .join('\n');
}

interface Place {
  x(step: number): number;
  y(value: number): number;
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function grid(x: Axis, y: Axis, place: Place, { left, right, top, bottom }: Frame): string[] {
  const lines: string[] = ['<g stroke="#e4e7eb">'];
  const labels: string[] = ['<g font-size="12">'];
  for (const { value, label } of y.ticks) {
    const at = fixed(place.y(value));
    lines.push(`<line x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`);
    labels.push(`<text x="${left - 10}" y="${at}" dy="0.35em" text-anchor="end">${escapeText(label)}</text>`);
  }
  for (const { value, label } of x.ticks) {
    const at = fixed(place.x(value));
    lines.push(`<line x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`);
    labels.push(`<text x="${at}" y="${bottom + 20}" text-anchor="middle">${escapeText(label)}</text>`);
  }
  return [
    ...lines,
    '</g>',
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="#80868b"/>`,
    ...labels,
    '</g>',
  ];
}

function axisLabels(x: string, y: string, kind: Axis['kind'], { left, right, top, bottom }: Frame): string[] {
  const scale = kind === 'linear' ? '' : y === '' ? 'logarithmic' : ' (logarithmic)';
  const vertical = `transform="translate(18 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle"`;
  return [
    `<text x="${(left + right) / 2}" y="${HEIGHT - 14}" text-anchor="middle">${escapeText(x)}</text>`,
    y + scale === '' ? '' : `<text ${vertical}>${escapeText(y + scale)}</text>`,
  ];
}

/** Two labels to a row, under the title. */
function legend(series: readonly Series[], columnWidth: number): string[] {
  return series.flatMap(({ label, colour, marked }, index) => {
    const x = LEFT + (index % 2) * columnWidth;
    const y = TOP + Math.floor(index / 2) * LEGEND_ROW + 4;
    const dot = marked ? `<circle cx="${x + 12}" cy="${y}" r="3.5" fill="${colour}"/>` : '';
    return [
      `<line x1="${x}" y1="${y}" x2="${x + 24}" y2="${y}" stroke="${colour}" stroke-width="2"/>${dot}`,
      `<text x="${x + 32}" y="${y}" dy="0.35em">${escapeText(label)}</text>`,
    ];
  });
}

function band({ columns, colour, marked }: Series, place: Place): string {
  if (marked || columns.every(({ low, high }) => low === high)) return '';
  const upper = columns.map(({ step, high }) => point(place, step, high));
  const lower = columns.toReversed().map(({ step, low }) => point(place, step, low));
  return `<path d="M${[...upper, ...lower].join('L')}Z" fill="${colour}" fill-opacity="0.16"/>`;
}

function line({ columns, colour, marked }: Series, place: Place): string[] {
  const points = columns.map(({ step, mean }) => point(place, step, mean));
  const dots = marked ? columns.length <= MOST_DOTS : columns.length === 1;
  return [
    points.length < 2
      ? ''
      : `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="${marked ? 2 : 1.5}" stroke-linejoin="round"/>`,
    ...(dots
      ? columns.map(
          ({ step, mean }) =>
            `<circle cx="${fixed(place.x(step))}" cy="${fixed(place.y(mean))}" r="3.5" fill="${colour}" stroke="#ffffff"/>`,
        )
      : []),
  ];
}

function point(place: Place, step: number, value: number): string {
  return `${fixed(place.x(step))} ${fixed(place.y(value))}`;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(2)));
}
