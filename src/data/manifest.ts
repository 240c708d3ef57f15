import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { type Manifest, type ManifestHead, manifestHead, SPLITS, type Tile } from '../raster/dataset.js';
import type { TileRecord } from './records.js';
import type { PlacedTile } from './split.js';

/** A dataset's manifest, whose tiles are made one after the other: all at once are most of what it takes. */
export interface ManifestPlan {
  head: ManifestHead;
  /** In order of id. */
  tiles(): Iterable<Tile>;
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
): ManifestPlan {
  const { seed, data, training } = params;
  const { scale, scales, materialize, degradation, split, bands, value_range, tile } = data;
  const { min_standard_deviation, max_saturated, max_empty, near_duplicate_bits } = data;
  const sorted = placed.toSorted((a, b) => (a.tile.id < b.tile.id ? -1 : 1));
  function* tiles(): Generator<Tile> {
    for (const { tile, split, stratum } of sorted) yield tileOf(tile, split, stratum);
  }
  const head = manifestHead({
    scale,
    scales: hasPairs ? [scale] : (scales ?? [scale]),
    materialized: materialize || hasPairs,
    degradation,
    seed,
    settings: {
      ...{ split, bands, value_range, tile, crop: training.crop },
      ...{ min_standard_deviation, max_saturated, max_empty, near_duplicate_bits },
    },
    tiles: tiles(),
    rejected,
  });
  const empty = SPLITS.filter((name) => head.counts[name] === 0);
  if (empty.length === 0) return { head, tiles };
  throw emptySplit(empty, head.counts, split.method);
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

/** The manifest as JSON, some tiles at a time. */
export function* manifestText({ head, tiles }: ManifestPlan): Generator<string> {
  const end = '[]\n}';
  yield JSON.stringify({ ...head, tiles: [] }, null, 2).slice(0, -end.length);
  let texts: string[] = [];
  let start = '[';
  for (const tile of tiles()) {
    texts.push(`    ${JSON.stringify(tile, null, 2).replaceAll('\n', '\n    ')}`);
    if (texts.length < TILES_AT_ONCE) continue;
    yield `${start}\n${texts.join(',\n')}`;
    [texts, start] = [[], ','];
  }
  if (texts.length > 0) yield `${start}\n${texts.join(',\n')}`;
  yield '\n  ]\n}\n';
}

const TILES_AT_ONCE = 256;
