import type { Size } from './degrade.js';
import type { Provenance } from './provenance.js';
import type { OutputRows, UnitScene } from './unit-scene.js';

export const OUTPUT_FORMATS = ['png', 'jpeg', 'webp', 'avif', 'tiff'] as const;
/** tiff: a Cloud-Optimised GeoTIFF, BigTIFF where it must be. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface SceneDescription {
  format: OutputFormat;
  size: Size;
  /** What the pixels were made of: its type, bands, opacity, georeferencing, colour profile and metadata are kept. */
  source: UnitScene;
  provenance?: Provenance;
  /** Of JPEG, WebP and AVIF, 1 to 100; 95 unless given. */
  quality?: number;
}

/** Writes an image from the top, beside its place, and puts it there when it is whole. */
export interface SceneWriter {
  /** The next rows, any number of them. @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  write(rows: OutputRows, count: number): Promise<void>;
  /** After the last row: flushed and renamed. @returns its size in bytes */
  finish(): Promise<number>;
  /** Nothing stays behind. */
  abort(): Promise<void>;
}

/**
 * Whether a format can hold what a source would become; to be asked before any work.
 * @throws HndsrError OUTPUT_UNSUPPORTED with the format that can
 */
export declare function checkFormat(description: Omit<SceneDescription, 'provenance'>): void;

/**
 * @param path missing folders are made; a file there is replaced when the new one is whole
 * @throws HndsrError OUTPUT_UNSUPPORTED, OUTPUT_UNWRITABLE, DISK_FULL
 */
export declare function createSceneWriter(path: string, description: SceneDescription): Promise<SceneWriter>;

/** One band of fractions on the grid of an output, such as a map of uncertainty; always a GeoTIFF. */
export declare function createMapWriter(
  path: string,
  description: Pick<SceneDescription, 'size' | 'source' | 'provenance'> & { band: string },
): Promise<SceneWriter>;
