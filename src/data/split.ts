import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { stableFraction } from '../random.js';
import type { Split } from '../raster/dataset.js';
import type { SidecarRow } from './sidecar.js';

export type SplitSettings = Params['data']['split'];

/** Where an image comes from, and where on the globe it lies when that is known. */
export interface Origin {
  source: string;
  latitude?: number;
  longitude?: number;
}

/** What never straddles two splits: the name of a block of the globe, or of a scene. */
export type BlockId = string;

/**
 * Finds the origin of an image: what the sidecar says, else the scene that `source_pattern` reads off its path.
 * @throws HndsrError CONFIG_INVALID when the pattern is not a regular expression
 */
export function originFinder(settings: SplitSettings): (path: string, row?: SidecarRow) => Origin {
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
  return (path, row = {}) => {
    const match = pattern.exec(path);
    const { source = match?.[1] ?? match?.[0] ?? path, latitude, longitude } = row;
    return { source, latitude, longitude };
  };
}

/** The block of an image, or undefined when it has no coordinates and the split needs them. */
export function blockOf(origin: Origin, settings: SplitSettings): BlockId | undefined {
  if (settings.method === 'source') return origin.source;
  const { latitude, longitude } = origin;
  if (latitude === undefined || longitude === undefined) return undefined;
  const degrees = settings.block_degrees;
  // 180 E is 180 W, and the pole belongs to the last row of blocks: both would be blocks of one line of pixels.
  const row = Math.min(Math.floor(latitude / degrees), Math.ceil(90 / degrees) - 1);
  const column = Math.floor((longitude === 180 ? -180 : longitude) / degrees);
  return `${row},${column}`;
}

/**
 * The split of a block, from the seed and its name alone: images that come later move none that was there.
 * The shares are of blocks, so those of tiles come near them only when there are many blocks.
 */
export function splitOf(seed: number, block: BlockId, settings: SplitSettings): Split {
  const fraction = stableFraction(seed, 'split', block);
  if (fraction < settings.test) return 'test';
  return fraction < settings.test + settings.validation ? 'validation' : 'train';
}
