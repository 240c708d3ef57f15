import type { Transform } from './geography.js';

/** The tags of a GeoTIFF that define its coordinates, as they are stored (GeoTIFF 1.1, section 7.1.2). */
export interface StoredGeoKeys {
  directory: readonly number[];
  doubles: readonly number[];
  ascii: string;
}

/** Pixel i, j lies at x, y, z. */
export type TiePoint = readonly [number, number, number, number, number, number];

export interface Georeference {
  /** From the corners of pixels; missing where only tie points are known. */
  transform?: Transform;
  /** Where the file says so by ground control points, in pixels from the top left corner of the image. */
  tiePoints?: readonly TiePoint[];
  keys: StoredGeoKeys;
}

/** An item of GDAL's metadata, its text as it stands in the XML. */
export interface MetadataItem {
  name: string;
  /** Of one band, from 1. */
  band?: number;
  role?: string;
  domain?: string;
  xml: string;
}

/** What an image that is made of another keeps of it besides the pixels. */
export interface Carried {
  /** A colour profile. */
  icc?: Uint8Array;
  geo?: Georeference;
  /** The no-data value as it is written. */
  noData?: string;
  metadata: readonly MetadataItem[];
  /** Tags of text: description, maker, model, date, artist, copyright. */
  texts: Readonly<Record<number, string>>;
  /** The first three bands are red, green and blue. */
  isRgb: boolean;
}

/** On a grid that is finer by `across` and `down`, with the same outer corners. */
export function finerGeoreference(geo: Georeference, across: number, down: number): Georeference {
  const { transform, tiePoints, keys } = geo;
  return {
    keys,
    ...(transform !== undefined && { transform: finerTransform(transform, across, down) }),
    ...(tiePoints !== undefined && {
      tiePoints: tiePoints.map(([i, j, k, x, y, z]): TiePoint => [i * across, j * down, k, x, y, z]),
    }),
  };
}

function finerTransform([a, b, c, d, e, f]: Transform, across: number, down: number): Transform {
  return [a, b / across, c / down, d, e / across, f / down];
}
