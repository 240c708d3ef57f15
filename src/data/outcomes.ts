import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { createManifest, type Manifest, SPLITS, type Tile } from '../raster/dataset.js';
import type { Outcome, RejectReason } from './tile.js';

export type Accepted = Extract<Outcome, { kind: 'accepted' }>;
export type Rejected = Extract<Outcome, { kind: 'rejected' }>;

/** Keeps the first by path of images with the same bytes; the others become rejects. */
export function withoutDuplicates(outcomes: readonly Outcome[]): Outcome[] {
  const first = new Map<string, string>();
  return outcomes.map((outcome) => {
    if (outcome.kind === 'rejected') return outcome;
    const original = first.get(outcome.sha256!);
    if (original === undefined) {
      first.set(outcome.sha256!, outcome.path);
      return outcome;
    }
    return { ...outcome, kind: 'rejected', reason: 'duplicate', detail: `it has the bytes of ${original}` };
  });
}

export function acceptedOf(outcomes: readonly Outcome[]): Accepted[] {
  return outcomes.filter((outcome) => outcome.kind === 'accepted');
}

export function rejectedOf(outcomes: readonly Outcome[]): Rejected[] {
  return outcomes.filter((outcome) => outcome.kind === 'rejected');
}

/** How many images became no tile, by reason, in order of reason. */
export function countRejects(outcomes: readonly Outcome[]): Partial<Record<RejectReason, number>> {
  const counts: Partial<Record<RejectReason, number>> = {};
  for (const reason of rejectedOf(outcomes)
    .map((outcome) => outcome.reason)
    .sort()) {
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/** One JSON object a line for each image that became no tile. */
export function rejectLines(outcomes: readonly Outcome[]): string {
  return rejectedOf(outcomes)
    .map(({ path, reason, detail, sha256 }) => `${JSON.stringify({ path, reason, detail, sha256 })}\n`)
    .join('');
}

/**
 * The manifest of the accepted images.
 * @throws HndsrError DATASET_INVALID when a split has no tile
 */
export function manifestOf(outcomes: readonly Outcome[], params: Params): Manifest {
  const manifest = createManifest({
    scale: params.data.scale,
    settings: { seed: params.seed, split: params.data.split },
    tiles: acceptedOf(outcomes).map(tileOf),
    rejected: rejectedOf(outcomes).length,
  });
  const empty = SPLITS.filter((split) => manifest.counts[split] === 0);
  if (empty.length === 0) return manifest;
  const counts = SPLITS.map((split) => `${split} ${manifest.counts[split]}`).join(', ');
  throw new HndsrError(
    'DATASET_INVALID',
    `the split leaves no tile for ${empty.join(' and ')} (${counts}): whole ` +
      `${params.data.split.method === 'source' ? 'scenes' : 'blocks of the globe'} go to one split`,
    {
      hint:
        'Change `seed`, `data.split.validation` and `data.split.test`, or ' +
        `${params.data.split.method === 'source' ? '`data.split.source_pattern`' : 'make `data.split.block_degrees` smaller'}: ` +
        'for example -S data.split.test=0.3.',
    },
  );
}

function tileOf({ id, split, hr, lr, width, height, sha256, origin }: Accepted): Tile {
  return { id, split, hr, lr, width, height, sha256, ...origin };
}
