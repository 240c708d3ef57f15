import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { createManifest, type Manifest, SPLITS, type Tile } from '../raster/dataset.js';
import type { RejectReason, RejectRecord, TileRecord } from './records.js';
import type { PlacedTile } from './split.js';

export type RejectCounts = Partial<Record<RejectReason, number>>;

/** How many images and tiles were refused, by reason, in order of reason. */
export function countRejects(rejects: readonly RejectRecord[]): RejectCounts {
  const counts: RejectCounts = {};
  for (const reason of rejects.map((reject) => reject.reason).sort())
    counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

/** One JSON object a line for each image, or part of one, that became no tile. */
export function rejectLines(rejects: readonly RejectRecord[]): string {
  return rejects
    .map(({ path, window, reason, detail, sha256 }) => {
      const place = window === undefined ? {} : { x: window.x, y: window.y };
      return `${JSON.stringify({ path, ...place, reason, detail, sha256 })}\n`;
    })
    .join('');
}

/** In order of path, then of place. */
export function sortedRejects(rejects: readonly RejectRecord[]): RejectRecord[] {
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return rejects.toSorted((a, b) => order(a.path, b.path) || order(a.id, b.id));
}

/**
 * The manifest of the tiles that were placed.
 * @throws HndsrError DATASET_INVALID when a split has no tile
 */
export function manifestOf(
  placed: readonly PlacedTile[],
  rejected: number,
  params: Params,
  hasPairs: boolean,
): Manifest {
  const { seed, data, training } = params;
  const { scale, scales, materialize, degradation, split, bands, value_range, tile } = data;
  const { min_standard_deviation, max_saturated, max_empty, near_duplicate_bits } = data;
  const manifest = createManifest({
    scale,
    scales: hasPairs ? [scale] : (scales ?? [scale]),
    materialized: materialize || hasPairs,
    degradation,
    seed,
    settings: {
      ...{ split, bands, value_range, tile, crop: training.crop },
      ...{ min_standard_deviation, max_saturated, max_empty, near_duplicate_bits },
    },
    tiles: placed.map(({ tile, split, stratum }) => tileOf(tile, split, stratum)),
    rejected,
  });
  const empty = SPLITS.filter((name) => manifest.counts[name] === 0);
  if (empty.length === 0) return manifest;
  throw emptySplit(empty, manifest.counts, split.method);
}

const UNITS: Record<Params['data']['split']['method'], { are: string; change: string }> = {
  source: { are: 'whole scenes go to one split', change: '`data.split.source_pattern`' },
  'spatial-block': {
    are: 'whole blocks of the globe go to one split',
    change: 'make `data.split.block_degrees` smaller',
  },
  stratified: { are: 'whole images go to one split', change: 'the strata of `data.split.stratify_by`' },
  hash: { are: 'whole images go to one split', change: 'add images' },
  predefined: { are: 'the list, tiles.csv or the folders say which', change: 'what they say' },
};

function emptySplit(
  empty: readonly string[],
  counts: Manifest['counts'],
  method: keyof typeof UNITS,
): HndsrError {
  const found = SPLITS.map((name) => `${name} ${counts[name]}`).join(', ');
  return new HndsrError(
    'DATASET_INVALID',
    `the split leaves no tile for ${empty.join(' and ')} (${found}): ${UNITS[method].are}`,
    {
      hint:
        `Change \`seed\`, \`data.split.validation\` and \`data.split.test\`, or ${UNITS[method].change}: ` +
        'for example -S data.split.test=0.3.',
    },
  );
}

function tileOf(record: TileRecord, split: Tile['split'], stratum: string | undefined): Tile {
  const { id, width, height, depth, emptyShare, sha256, path, source, window, latitude, longitude } = record;
  return {
    ...{ id, split, hr: `${split}/HR/${id}.png`, width, height, depth },
    ...(emptyShare > 0 && { mask: `${split}/mask/${id}.png` }),
    ...{ sha256, path, source, window },
    ...(stratum !== undefined && { stratum }),
    ...(latitude !== undefined && longitude !== undefined && { latitude, longitude }),
  };
}
