import { SPLITS, type Split } from '../raster/dataset.js';
import type { Bounds } from '../raster/scene.js';

export interface MapTile {
  split: Split;
  /** Of the centre, in degrees. */
  latitude?: number;
  longitude?: number;
  bounds?: Bounds;
}

/** Told apart with any kind of colour vision (Okabe and Ito 2008, "Color Universal Design"). */
const COLOURS: Readonly<Record<Split, string>> = { train: '#56B4E9', validation: '#E69F00', test: '#D55E00' };
const WIDTH = 960;
const MARGIN = 48;
const LEGEND = 36;
const TALLEST = 1600;
/** A tile of which only the centre is known, in pixels of the map. */
const DOT = 5;
/** More tiles than this are drawn as the cells of a grid of so many columns. */
const MOST_DRAWN = 20_000;
const CELLS_ACROSS = 200;

interface Shape {
  split: Split;
  west: number;
  east: number;
  south: number;
  north: number;
  isDot: boolean;
}

/**
 * A map of the tiles, coloured by split, as SVG: longitude across, latitude up, in the proportions of the middle
 * latitude. Undefined where no tile has coordinates.
 */
export function mapSvg(tiles: readonly MapTile[]): string | undefined {
  const shapes = shapesOf(tiles);
  if (shapes.length === 0) return undefined;
  const frame = frameOf(shapes);
  const drawn = shapes.length > MOST_DRAWN ? gridOf(shapes, frame) : shapes;
  const counts = SPLITS.map((split) => tiles.filter((tile) => tile.split === split).length);
  const { height } = frame;
  const [totalWidth, totalHeight] = [WIDTH + 2 * MARGIN, height + 2 * MARGIN + LEGEND];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${totalWidth} ${round(totalHeight)}" font-family="sans-serif" font-size="12">`,
    '<title>Tiles by split</title>',
    `<rect width="${totalWidth}" height="${round(totalHeight)}" fill="#fff"/>`,
    ...graticule(frame),
    ...drawn.map((shape) => rectangle(shape, frame)),
    ...legend(counts, height + 2 * MARGIN),
    '</svg>',
    '',
  ].join('\n');
}

/** Longitudes go on beyond 180 degrees where the tiles lie on both sides of that line. */
function shapesOf(tiles: readonly MapTile[]): Shape[] {
  const shapes = tiles.flatMap(({ split, latitude, longitude, bounds }): Shape[] => {
    if (bounds !== undefined) {
      const [west, south, east, north] = bounds;
      return [{ split, west, south, east: east < west ? east + 360 : east, north, isDot: false }];
    }
    if (latitude === undefined || longitude === undefined) return [];
    return [{ split, west: longitude, east: longitude, south: latitude, north: latitude, isDot: true }];
  });
  const span = (some: readonly Shape[]): number =>
    some.reduce((most, { east }) => Math.max(most, east), -Infinity) -
    some.reduce((least, { west }) => Math.min(least, west), Infinity);
  const shifted = shapes.map((shape) =>
    shape.west < 0 ? { ...shape, west: shape.west + 360, east: shape.east + 360 } : shape,
  );
  return span(shifted) < span(shapes) ? shifted : shapes;
}

interface Frame {
  west: number;
  north: number;
  south: number;
  east: number;
  height: number;
  across: number;
  down: number;
}

function frameOf(shapes: readonly Shape[]): Frame {
  const least = (value: (shape: Shape) => number): number =>
    shapes.reduce((found, shape) => Math.min(found, value(shape)), Infinity);
  const box = {
    west: least(({ west }) => west),
    south: least(({ south }) => south),
    east: -least(({ east }) => -east),
    north: -least(({ north }) => -north),
  };
  // A single point still needs a frame.
  const pad = Math.max(box.east - box.west, box.north - box.south) * 0.03 || 0.01;
  const [west, east] = [box.west - pad, box.east + pad];
  const [south, north] = [Math.max(-90, box.south - pad), Math.min(90, box.north + pad)];
  const narrowing = Math.max(0.05, Math.cos((((south + north) / 2) * Math.PI) / 180));
  const across = WIDTH / (east - west);
  const height = Math.min(TALLEST, (north - south) * (across / narrowing));
  return { west, north, south, east, height, across, down: height / (north - south) };
}

function gridOf(shapes: readonly Shape[], { west, north, east }: Frame): Shape[] {
  const size = (east - west) / CELLS_ACROSS;
  const cells = new Map<string, { counts: Record<Split, number>; column: number; row: number }>();
  for (const shape of shapes) {
    const column = Math.floor(((shape.west + shape.east) / 2 - west) / size);
    const row = Math.floor((north - (shape.south + shape.north) / 2) / size);
    const cell = cells.get(`${column},${row}`) ?? {
      counts: { train: 0, validation: 0, test: 0 },
      column,
      row,
    };
    cell.counts[shape.split]++;
    cells.set(`${column},${row}`, cell);
  }
  return [...cells.values()].map(({ counts, column, row }) => ({
    split: SPLITS.reduce((most, split) => (counts[split] > counts[most] ? split : most)),
    west: west + column * size,
    east: west + (column + 1) * size,
    north: north - row * size,
    south: north - (row + 1) * size,
    isDot: false,
  }));
}

function rectangle(shape: Shape, frame: Frame): string {
  const { split, isDot } = shape;
  const [x, y] = [
    MARGIN + (shape.west - frame.west) * frame.across,
    MARGIN + (frame.north - shape.north) * frame.down,
  ];
  const width = isDot ? DOT : Math.max(1, (shape.east - shape.west) * frame.across);
  const height = isDot ? DOT : Math.max(1, (shape.north - shape.south) * frame.down);
  const shift = isDot ? DOT / 2 : 0;
  return `<rect x="${round(x - shift)}" y="${round(y - shift)}" width="${round(width)}" height="${round(height)}" fill="${COLOURS[split]}" fill-opacity="0.8"/>`;
}

/** Lines at round degrees, about six each way, with their numbers. */
function graticule(frame: Frame): string[] {
  const { west, east, south, north, across, down, height } = frame;
  const lines = [
    `<rect x="${MARGIN}" y="${MARGIN}" width="${WIDTH}" height="${round(height)}" fill="none" stroke="#999"/>`,
  ];
  const step = roundStep((east - west) / 6);
  for (let degree = Math.ceil(west / step) * step; degree <= east; degree += step) {
    const x = round(MARGIN + (degree - west) * across);
    const label = degree > 180 ? degree - 360 : degree;
    lines.push(`<line x1="${x}" x2="${x}" y1="${MARGIN}" y2="${round(MARGIN + height)}" stroke="#ddd"/>`);
    lines.push(
      `<text x="${x}" y="${MARGIN - 8}" text-anchor="middle" fill="#555">${degrees(label, step)}</text>`,
    );
  }
  const rise = roundStep(Math.max((north - south) / 6, step));
  for (let degree = Math.ceil(south / rise) * rise; degree <= north; degree += rise) {
    const y = round(MARGIN + (north - degree) * down);
    lines.push(`<line x1="${MARGIN}" x2="${MARGIN + WIDTH}" y1="${y}" y2="${y}" stroke="#ddd"/>`);
    lines.push(
      `<text x="${MARGIN - 6}" y="${y + 4}" text-anchor="end" fill="#555">${degrees(degree, rise)}</text>`,
    );
  }
  return lines;
}

/** 1, 2 or 5 times a power of ten, at least as large. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= step) ?? 10);
}

function degrees(value: number, step: number): string {
  return `${value.toFixed(Math.max(0, -Math.floor(Math.log10(step))))}°`;
}

function legend(counts: readonly number[], top: number): string[] {
  return SPLITS.flatMap((split, index) => {
    const x = MARGIN + index * 200;
    return [
      `<rect x="${x}" y="${round(top)}" width="14" height="14" fill="${COLOURS[split]}"/>`,
      `<text x="${x + 20}" y="${round(top + 12)}" fill="#222">${split} (${counts[index]} tiles)</text>`,
    ];
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
