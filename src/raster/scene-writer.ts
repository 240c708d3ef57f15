import { extname } from 'node:path';
import { HndsrError } from '../errors.js';
import { type Carried, finerGeoreference } from './carried.js';
import type { Size } from './degrade.js';
import { escapeXml, type Provenance } from './provenance.js';
import type { OutputRows, UnitScene } from './unit-scene.js';

export const OUTPUT_FORMATS = ['png', 'jpeg', 'webp', 'avif', 'tiff'] as const;
/** tiff: a Cloud-Optimised GeoTIFF, BigTIFF where it must be. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The ending of names, without its dot. */
export const EXTENSIONS: Readonly<Record<OutputFormat, string>> = {
  png: 'png',
  jpeg: 'jpg',
  webp: 'webp',
  avif: 'avif',
  tiff: 'tif',
};

const FORMAT_BY_EXTENSION: Readonly<Record<string, OutputFormat>> = {
  '.png': 'png',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
  '.avif': 'avif',
  '.tif': 'tiff',
  '.tiff': 'tiff',
};

/** What a file's name says; undefined for an ending that no image is written with. */
export function formatOfName(name: string): OutputFormat | undefined {
  return FORMAT_BY_EXTENSION[extname(name).toLowerCase()];
}

export interface SceneDescription {
  format: OutputFormat;
  size: Size;
  /** What the pixels were made of: its type, bands, opacity, georeferencing, colour profile and metadata are kept. */
  source: UnitScene;
  provenance?: Provenance;
  /** Of JPEG, WebP and AVIF, 1 to 100; 95 unless given. */
  quality?: number;
}

/** An image as it is written. */
export interface Layout extends Size {
  dtype: string;
  /** Without opacity. */
  bands: number;
  alpha: boolean;
  mask: boolean;
  /** Already on the grid of the output. */
  carried: Carried;
  provenance?: Provenance;
  quality: number;
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

/** Most pixels along a side, by what each format can say; and those of an image that is held as a whole. */
const LONGEST_SIDE = {
  png: 2 ** 31 - 1,
  jpeg: 65_535,
  webp: 16_383,
  avif: 65_535,
  tiff: 2 ** 31 - 1,
} as const;
const MOST_HELD_PIXELS = 2 ** 27;

/**
 * Whether a format can hold what a source would become; to be asked before any work.
 * @throws HndsrError OUTPUT_UNSUPPORTED with the format that can
 */
export function checkFormat({ format, size, source }: Omit<SceneDescription, 'provenance'>): void {
  const problem = formatProblem(format, size, layoutOf({ format, size, source }));
  if (problem === undefined) return;
  throw new HndsrError('OUTPUT_UNSUPPORTED', `a ${format.toUpperCase()} file cannot hold ${problem}`, {
    hint:
      format === 'png' || problem.includes('pixels')
        ? 'Write a TIFF: -f tiff.'
        : 'Write a PNG or a TIFF: -f png, -f tiff.',
  });
}

function formatProblem(
  format: OutputFormat,
  { width, height }: Size,
  { dtype, bands, alpha }: Layout,
): string | undefined {
  const longest = LONGEST_SIDE[format];
  if (width > longest || height > longest)
    return `${width} x ${height} pixels: ${longest} along a side at most`;
  if (format === 'tiff') return undefined;
  const depths = format === 'png' ? ['uint8', 'uint16'] : ['uint8'];
  if (!depths.includes(dtype)) return `samples of ${dtype}`;
  if (bands !== 1 && bands !== 3) return `${bands} bands`;
  if (alpha && format === 'jpeg') return 'opacity';
  if (format !== 'png' && width * height > MOST_HELD_PIXELS)
    return `${width} x ${height} pixels: ${MOST_HELD_PIXELS} are held in memory at most`;
  return undefined;
}

function layoutOf({ size, source, provenance, quality = 95 }: SceneDescription): Layout {
  const { header, bands, carried } = source;
  const { geo } = carried;
  const [across, down] = [size.width / header.width, size.height / header.height];
  const kept = bands.map((band, index) => [band, index + 1] as const);
  return {
    ...size,
    dtype: header.dtype,
    bands: bands.length,
    alpha: header.opacity === 'alpha',
    mask: header.opacity === 'mask',
    carried: {
      ...carried,
      ...(geo !== undefined && { geo: finerGeoreference(geo, across, down) }),
      // Facts about a band go with it to its new place.
      metadata: carried.metadata.flatMap((item) =>
        item.band === undefined
          ? [item]
          : kept.filter(([band]) => band === item.band).map(([, to]) => ({ ...item, band: to })),
      ),
      isRgb: carried.isRgb && bands.length >= 3 && [1, 2, 3].every((band, index) => bands[index] === band),
    },
    ...(provenance !== undefined && { provenance }),
    quality,
  };
}

/**
 * @param path missing folders are made; a file there is replaced when the new one is whole
 * @throws HndsrError OUTPUT_UNSUPPORTED, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function createSceneWriter(path: string, description: SceneDescription): Promise<SceneWriter> {
  checkFormat(description);
  return createWriter(path, description.format, layoutOf(description));
}

/** One band of fractions on the grid of an output, such as a map of uncertainty; always a GeoTIFF. */
export async function createMapWriter(
  path: string,
  description: Pick<SceneDescription, 'size' | 'source' | 'provenance'> & { band: string },
): Promise<SceneWriter> {
  const layout = layoutOf({ ...description, format: 'tiff' });
  const { geo, texts } = layout.carried;
  const name = { name: 'DESCRIPTION', band: 1, role: 'description', xml: escapeXml(description.band) };
  return createWriter(path, 'tiff', {
    ...layout,
    dtype: 'float32',
    bands: 1,
    alpha: false,
    mask: false,
    carried: { texts, metadata: [name], isRgb: false, ...(geo !== undefined && { geo }) },
  });
}

async function createWriter(path: string, format: OutputFormat, layout: Layout): Promise<SceneWriter> {
  if (format === 'tiff') {
    const { createCogWriter } = await import('./tiff/cog-writer.js');
    return createCogWriter(path, layout);
  }
  if (format === 'png') {
    const { createPngWriter } = await import('./png-writer.js');
    return createPngWriter(path, layout);
  }
  const { createPictureWriter } = await import('./picture-writer.js');
  return createPictureWriter(path, format, layout);
}
