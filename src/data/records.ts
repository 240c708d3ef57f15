import type { ImageFields } from '../inputs/input-image.js';
import type { PixelWindow } from '../raster/resample.js';
import type { Bounds } from '../raster/scene.js';

/** Why an image, or a part of one, became no tile; stable words, kept in rejects.jsonl and the catalogue. */
export const REJECT_REASONS = [
  'not-an-image',
  'corrupt',
  'truncated',
  'too-many-pixels',
  'multi-page',
  'animated',
  'unsupported-depth',
  'unsupported-compression',
  'unreadable',
  'band-count',
  'too-small',
  'empty',
  'constant',
  'saturated',
  'duplicate',
  'near-duplicate',
  'pair-missing',
  'pair-size',
  'pair-misaligned',
  'buffer',
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** By band of the tile, in the source's own values. */
export interface BandStatistics {
  mean: number[];
  standardDeviation: number[];
  minimum: number[];
  maximum: number[];
}

/** A tile as the ETL knows it, before it has a split. */
export interface TileRecord {
  id: string;
  /** Of the image that it was cut from. */
  path: string;
  /** Its place in that image, in pixels as a viewer shows them. */
  window: PixelWindow;
  source: string;
  /** Of the image's bytes. */
  sha256: string;
  /** SHA-256 of the tile's size and samples: equal for equal pictures in different files. */
  content: string;
  width: number;
  height: number;
  /** Of the image, before three were chosen. */
  bands: number;
  /** Of the image: uint8, uint16, int16, float32 and so on. */
  dtype: string;
  /** Bits of a sample in the tile's own file. */
  depth: 8 | 16;
  /** See perceptual-hash.ts. */
  perceptualHash: string;
  statistics: BandStatistics;
  /** Share of pixels without data; a tile with any has a mask. */
  emptyShare: number;
  /** Of the centre. */
  latitude?: number;
  longitude?: number;
  bounds?: Bounds;
  /** The bounds in units of `crs`. */
  extent?: Bounds;
  /** For example EPSG:32618. */
  crs?: string;
  /** Ground sampling distance in metres. */
  gsd?: number;
  captureDate?: string;
  sensor?: string;
  fields: ImageFields;
}

/** An image, or a part of one, that became no tile. */
export interface RejectRecord {
  /** Of the tile; of an image that was refused as a whole, from its path. */
  id: string;
  path: string;
  /** Where only a part of the image was refused. */
  window?: PixelWindow;
  reason: RejectReason;
  /** In a form that fits behind "FILE: ". */
  detail: string;
  sha256?: string;
  width?: number;
  height?: number;
  bands?: number;
  dtype?: string;
  /** What else was found out before it was refused. */
  known?: Partial<TileRecord>;
}
