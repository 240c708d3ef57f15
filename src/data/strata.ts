import { stableFraction } from '../random.js';
import type { Split } from '../raster/dataset.js';
import type { TileRecord } from './records.js';
import { type SplitSettings, splitOf } from './split.js';

/** The class of a tile: its first folder, its sensor or scene, or a column of its list; undefined if it has none. */
export function stratumOf(tile: TileRecord, by: string): string | undefined {
  if (by === 'folder')
    return tile.path.includes('/') ? tile.path.slice(0, tile.path.indexOf('/')) : undefined;
  if (by === 'sensor') return tile.sensor;
  if (by === 'source') return tile.source;
  return Object.hasOwn(tile.fields.columns, by) ? tile.fields.columns[by] : undefined;
}

/**
 * The splits of a stratum's units: by the hash of each, and then such that no split goes without where there are
 * enough of them. Only units that are new are moved, those first whose hash lies nearest to the share of the split
 * that lacks one; so an old one stays where it was.
 * @returns the splits that still have none, though the settings give them a share
 */
export function repairStrata(
  seed: number,
  units: readonly string[],
  settings: SplitSettings,
  established: ReadonlyMap<string, Split>,
): { found: Map<string, Split>; missing: Split[] } {
  const found = new Map(
    units.map((unit) => [unit, established.get(unit) ?? splitOf(seed, unit, settings)] as const),
  );
  const ranges = rangesOf(settings);
  const wanted = (['train', 'test', 'validation'] as const).filter(
    (split) => ranges[split][1] > ranges[split][0],
  );
  const missing: Split[] = [];
  // Of two units, one is to learn from and one to judge by.
  const needed: Split[] = wanted.slice(0, units.length);
  for (const split of needed) {
    const counts = countsOf(found);
    if (counts[split] > 0) continue;
    const movable = units.filter((unit) => {
      const own = found.get(unit)!;
      return !established.has(unit) && (counts[own] > 1 || !needed.includes(own));
    });
    const distance = (unit: string): number => distanceTo(ranges[split], stableFraction(seed, 'split', unit));
    const nearest = movable.toSorted((a, b) => distance(a) - distance(b) || (a < b ? -1 : 1))[0];
    if (nearest === undefined) missing.push(split);
    else found.set(nearest, split);
  }
  return { found, missing };
}

function rangesOf({ test, validation }: SplitSettings): Record<Split, [number, number]> {
  return {
    test: [0, Math.min(1, test)],
    validation: [Math.min(1, test), Math.min(1, test + validation)],
    train: [Math.min(1, test + validation), 1],
  };
}

function distanceTo([from, to]: [number, number], fraction: number): number {
  return fraction < from ? from - fraction : Math.max(0, fraction - to);
}

function countsOf(found: ReadonlyMap<string, Split>): Record<Split, number> {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const split of found.values()) counts[split]++;
  return counts;
}
