import type { InputImage, InputReject } from '../inputs/input-image.js';
import type { CatalogRow } from './catalog.js';
import { rejectRow, tileRow } from './catalog.js';
import type { MadeTile } from './image-part.js';
import type { RejectReason, RejectRecord, TileRecord } from './records.js';
import type { PlacedTile } from './split.js';
import { tileId } from './tile-id.js';
import type { WorkState } from './work-state.js';

export type RejectCounts = Partial<Record<RejectReason, number>>;

/** What became of the images. */
export interface Outcomes {
  /** In order of path. */
  images: readonly InputImage[];
  placed: readonly PlacedTile[];
  /** Tiles that were made and then left out. */
  dropped: readonly RejectRecord[];
  /** What the input named and did not give. */
  missing: readonly InputReject[];
  state: WorkState;
}

/** A tile, or an image or part of one that became none. */
export interface Outcome {
  row: CatalogRow;
  reject?: RejectRecord;
}

/**
 * All tiles and refused images in order of path, then of id. What the catalogue says of them is read image by image:
 * held at once, it would be most of what an ETL of very many images needs.
 */
export function* outcomesOf({ images, placed, dropped, missing, state }: Outcomes): Generator<Outcome> {
  const placedById = new Map(placed.map((one) => [one.tile.id, one]));
  const droppedById = new Map(dropped.map((one) => [one.id, one]));
  const left: RejectRecord[] = missing
    .map((reject) => ({ id: tileId(reject.path), ...reject }))
    .sort((a, b) => compare(a.path, b.path) || compare(a.id, b.id));
  const outcomeOf = (made: MadeTile): Outcome => {
    const one = placedById.get(made.id);
    if (one !== undefined) return { row: tileRow(withFields(made, one.tile), one.split, one.stratum) };
    const { sha256, width, height, bands, dtype } = made;
    return rejected({ sha256, width, height, bands, dtype, known: made, ...droppedById.get(made.id)! });
  };
  let next = 0;
  for (const { path } of images) {
    for (; next < left.length && left[next]!.path < path; next++) yield rejected(left[next]!);
    const parts = state.results(path);
    const found = parts.flatMap(({ tiles, rejects }) => [
      ...tiles.map(outcomeOf),
      ...rejects.map((reject) => rejected(reject)),
    ]);
    yield* found.sort((a, b) => compare(a.row.id, b.row.id));
  }
  for (; next < left.length; next++) yield rejected(left[next]!);
}

/** What a list or tiles.csv says goes before what the file itself does. */
function withFields(made: MadeTile, { source, latitude, longitude, sensor, fields }: TileRecord) {
  const { captureDate = made.captureDate } = fields;
  return { ...made, source, latitude, longitude, sensor, captureDate };
}

function rejected(reject: RejectRecord): Outcome {
  return { row: rejectRow(reject), reject };
}

/** Order by code unit: the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** How many images and tiles were refused, by reason, in order of reason. */
export function countRejects(reasons: Iterable<RejectReason>): RejectCounts {
  const counts: RejectCounts = {};
  for (const reason of [...reasons].sort()) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

/** A line of rejects.jsonl. */
export function rejectLine({ path, window, reason, detail, sha256 }: RejectRecord): string {
  const place = window === undefined ? {} : { x: window.x, y: window.y };
  return `${JSON.stringify({ path, ...place, reason, detail, sha256 })}\n`;
}
