import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { ImageFields } from '../inputs/input-image.js';
import { stableFraction } from '../random.js';
import type { Split } from '../raster/dataset.js';
import { blockOf, neighbouringBlocks } from './blocks.js';
import type { RejectRecord, TileRecord } from './records.js';
import { repairStrata, stratumOf } from './strata.js';

export type SplitSettings = Params['data']['split'];

export interface PlacedTile {
  tile: TileRecord;
  split: Split;
  /** What all goes to one split: a scene, a block, an image. */
  unit: string;
  stratum?: string;
}

export interface Placement {
  placed: PlacedTile[];
  /** Tiles beside a block of another split. */
  rejects: RejectRecord[];
  warnings: string[];
}

/**
 * Finds the scene of an image: what its list or tiles.csv says, else what `source_pattern` reads off its path.
 * @throws HndsrError CONFIG_INVALID when the pattern is not a regular expression
 */
export function sourceFinder(settings: SplitSettings): (path: string, fields: ImageFields) => string {
  let pattern: RegExp;
  try {
    pattern = new RegExp(settings.source_pattern, 'u');
  } catch (error) {
    throw new HndsrError(
      'CONFIG_INVALID',
      `params.yaml: \`data.split.source_pattern\`: ${(error as Error).message}`,
      { hint: 'It is a JavaScript regular expression whose first group is the name of the scene.' },
    );
  }
  return (path, { source }) => {
    const match = pattern.exec(path);
    return source ?? match?.[1] ?? match?.[0] ?? path;
  };
}

/**
 * The split of a unit, from the seed and its name alone: images that come later move none that was there. The shares
 * are of units, so those of tiles come near them only when there are many units.
 */
export function splitOf(
  seed: number,
  unit: string,
  settings: Pick<SplitSettings, 'test' | 'validation'>,
): Split {
  const fraction = stableFraction(seed, 'split', unit);
  if (fraction < settings.test) return 'test';
  return fraction < settings.test + settings.validation ? 'validation' : 'train';
}

/**
 * Gives each tile its split.
 * @param established splits of units in the last dataset that was built with the same settings: they stay
 * @param where the coordinates should stand, for the message when they are missing
 * @throws HndsrError INPUT_INVALID where the method needs coordinates, or a split, that tiles do not have
 */
export function placeTiles(
  tiles: readonly TileRecord[],
  { seed, split }: { seed: number; split: SplitSettings },
  established: ReadonlyMap<string, Split>,
  where = 'the input',
): Placement {
  switch (split.method) {
    case 'spatial-block':
      return placeBlocks(tiles, seed, split, where);
    case 'predefined':
      return { placed: placePredefined(tiles), rejects: [], warnings: [] };
    case 'stratified':
      return placeStrata(tiles, seed, split, established);
    default: {
      const unitOf = (tile: TileRecord): string => (split.method === 'source' ? tile.source : tile.path);
      const placed = tiles.map((tile) => ({
        tile,
        unit: unitOf(tile),
        split: splitOf(seed, unitOf(tile), split),
      }));
      return { placed, rejects: [], warnings: [] };
    }
  }
}

function placeBlocks(
  tiles: readonly TileRecord[],
  seed: number,
  settings: SplitSettings,
  where: string,
): Placement {
  const unplaced = tiles.filter((tile) => blockOf(tile, settings) === undefined);
  if (unplaced.length > 0) throw missingCoordinates(tiles, unplaced, where);
  const placed: PlacedTile[] = [];
  const rejects: RejectRecord[] = [];
  for (const tile of tiles) {
    const unit = blockOf(tile, settings)!;
    const split = splitOf(seed, unit, settings);
    const near = neighbouringBlocks(tile, settings).find(
      (block) => PRECEDENCE[splitOf(seed, block, settings)] > PRECEDENCE[split],
    );
    if (near === undefined) placed.push({ tile, unit, split });
    else rejects.push(besideAnother(tile, split, splitOf(seed, near, settings), settings.buffer));
  }
  return { placed, rejects, warnings: [] };
}

/** Of two neighbours in different splits, the one in the lower is dropped. */
const PRECEDENCE: Readonly<Record<Split, number>> = { train: 0, validation: 1, test: 2 };

function besideAnother(tile: TileRecord, split: Split, other: Split, buffer: number): RejectRecord {
  const { id, path, window, sha256, width, height, bands, dtype } = tile;
  const detail = `it would be in ${split}, and lies within data.split.buffer ${buffer} of a block in ${other}`;
  return { id, path, window, sha256, width, height, bands, dtype, reason: 'buffer', detail, known: tile };
}

function missingCoordinates(
  tiles: readonly TileRecord[],
  unplaced: readonly TileRecord[],
  where: string,
): HndsrError {
  const paths = (some: readonly TileRecord[]): Set<string> => new Set(some.map(({ path }) => path));
  return new HndsrError(
    'INPUT_INVALID',
    `${where} gives no coordinates for ${paths(unplaced).size} of ${paths(tiles).size} images (first: ${unplaced[0]!.path}), ` +
      'and data.split.method is spatial-block',
    {
      hint:
        'Give each image a line `path,source,latitude,longitude` there, or split by scene: ' +
        '-S data.split.method=source.',
    },
  );
}

const FOLDERS: Readonly<Record<string, Split>> = {
  train: 'train',
  training: 'train',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
  dev: 'validation',
  test: 'test',
  testing: 'test',
};

/** By the column `split` of the list or tiles.csv, else by the first folder of the path that is named like one. */
function placePredefined(tiles: readonly TileRecord[]): PlacedTile[] {
  const found = tiles.map((tile) => {
    const words = [tile.fields.split, ...tile.path.split('/').slice(0, -1)];
    const word = words.find((one) => one !== undefined && Object.hasOwn(FOLDERS, one.toLowerCase()));
    return { tile, split: word === undefined ? undefined : FOLDERS[word.toLowerCase()] };
  });
  const without = found.filter(({ split }) => split === undefined);
  if (without.length > 0) {
    throw new HndsrError(
      'INPUT_INVALID',
      `data.split.method is predefined, and nothing says the split of ${without.length} of ${tiles.length} tiles (first: ${without[0]!.tile.path})`,
      {
        hint: 'Give each image `train`, `validation` or `test` in a column `split`, or put it in a folder of that name.',
      },
    );
  }
  return found.map(({ tile, split }) => ({ tile, unit: tile.path, split: split! }));
}

function placeStrata(
  tiles: readonly TileRecord[],
  seed: number,
  settings: SplitSettings,
  established: ReadonlyMap<string, Split>,
): Placement {
  const strata = new Map<string, Set<string>>();
  const stratumByUnit = new Map<string, string>();
  let without = 0;
  for (const tile of tiles) {
    const stratum = stratumOf(tile, settings.stratify_by);
    if (stratum === undefined) without++;
    const name = stratum ?? 'none';
    stratumByUnit.set(tile.path, name);
    strata.set(name, (strata.get(name) ?? new Set()).add(tile.path));
  }
  const splits = new Map<string, Split>();
  const warnings: string[] = [];
  if (without > 0) {
    warnings.push(
      `${without} tiles have no ${settings.stratify_by}: they are a stratum of their own, \`none\``,
    );
  }
  for (const [name, units] of strata) {
    const { found, missing } = repairStrata(seed, [...units], settings, established);
    for (const [unit, split] of found) splits.set(unit, split);
    if (missing.length > 0 && units.size > 1) {
      warnings.push(
        `the stratum ${name} has no image in ${missing.join(' and ')}: those that are there stay in their splits`,
      );
    }
  }
  const placed = tiles.map((tile) => ({
    tile,
    unit: tile.path,
    split: splits.get(tile.path)!,
    stratum: stratumByUnit.get(tile.path)!,
  }));
  return { placed, rejects: [], warnings };
}
