import type { GeoTIFF, GeoTIFFImage } from 'geotiff';
import type { Refusal } from '../image.js';
import type { SceneLimits } from '../scene.js';
import { unreadCompression } from './codecs.js';
import type { TiffDirectory, TiffEntry } from './directories.js';
import { numberOf, tagOf } from './tags.js';

/** Bits of NewSubfileType (TIFF 6.0, section 8): an overview, and a mask. */
const OVERVIEW = 1;
const MASK = 4;
const PHOTOMETRIC = { palette: 3, mask: 4, separated: 5, ycbcr: 6, lab: 8 } as const;
/** Tags of where blocks are, and how long: tiles, strips. */
const TILES = [324, 325] as const;
const STRIPS = [273, 279] as const;
const JPEG = 7;
const MOST_BANDS = 4096;
/** Of a block when it is decoded. */
const MOST_BLOCK_BYTES = 2 ** 31 - 1;

/** The images of a file: the one that counts, and the one that says where it has data. */
export interface Directories {
  main: GeoTIFFImage;
  mask: { image: GeoTIFFImage; directory: TiffDirectory } | undefined;
  /** Images that are neither an overview nor a mask of another. */
  pages: number;
  directory: TiffDirectory;
}

/** @param checked the same directories, of which it is known that they are there */
export async function directoriesOf(file: GeoTIFF, checked: readonly TiffDirectory[]): Promise<Directories> {
  const main = await file.getImage(0);
  let [mask, pages]: [Directories['mask'], number] = [undefined, 1];
  for (let index = 1; index < checked.length; index++) {
    const image = await file.getImage(index);
    const kind = numberOf(image, 'NewSubfileType') ?? 0;
    const sameSize = image.getWidth() === main.getWidth() && image.getHeight() === main.getHeight();
    if ((kind & MASK) !== 0 && (kind & OVERVIEW) === 0 && sameSize)
      mask = { image, directory: checked[index]! };
    else if ((kind & (OVERVIEW | MASK)) === 0) pages++;
  }
  return { main, mask, pages, directory: checked[0]! };
}

/** Why an image cannot be read, from what its header says. */
export function refusedHeader(
  { main, mask, pages, directory }: Directories,
  limits: SceneLimits,
): Refusal | undefined {
  if (pages > 1)
    return { refused: 'multi-page', detail: `it has ${pages} pages; one image a file is supported` };
  const [width, height, bands] = [main.getWidth(), main.getHeight(), main.getSamplesPerPixel()];
  if (![width, height, bands].every((size) => Number.isSafeInteger(size) && size > 0))
    return { refused: 'corrupt', detail: 'its header gives no size' };
  if (width * height > limits.maxScenePixels) {
    const { name = 'data.max_scene_pixels' } = limits;
    return {
      refused: 'too-many-pixels',
      detail: `its header promises ${width} x ${height} pixels, more than the limit of ${limits.maxScenePixels} (${name})`,
    };
  }
  return (
    refusedPixels(main) ??
    refusedBlocks(main, directory, limits) ??
    (mask === undefined ? undefined : refusedMask(mask.image, mask.directory, limits))
  );
}

function refusedBlocks(
  image: GeoTIFFImage,
  directory: TiffDirectory,
  { maxPixels }: SceneLimits,
): Refusal | undefined {
  const [across, down] = [image.getTileWidth(), image.getTileHeight()];
  if (!(Number.isSafeInteger(across * down) && across > 0 && down > 0))
    return { refused: 'corrupt', detail: 'its header gives no size of blocks' };
  const sampleBytes = image.getBitsPerSample(0) / 8;
  if (
    across * down > maxPixels ||
    across * down * image.getSamplesPerPixel() * sampleBytes > MOST_BLOCK_BYTES
  ) {
    return {
      refused: 'too-many-pixels',
      detail: `its blocks are ${across} x ${down} pixels, more than the limit of ${maxPixels}`,
    };
  }
  const isPlanar = numberOf(image, 'PlanarConfiguration') === 2;
  const blocks =
    Math.ceil(image.getWidth() / across) *
    Math.ceil(image.getHeight() / down) *
    (isPlanar ? image.getSamplesPerPixel() : 1);
  const listed = Math.min(...blockEntries(image, directory).map((entry) => entry?.count ?? 0));
  if (listed < blocks) return { refused: 'corrupt', detail: `it lists ${listed} of its ${blocks} blocks` };
  const unread = unreadCompression(numberOf(image, 'Compression') ?? 1);
  if (unread === undefined) return undefined;
  return {
    refused: 'unsupported-compression',
    detail: `its pixels are compressed by ${unread}, which is not read`,
  };
}

/** The lists of where blocks are, and how long. */
export function blockEntries(
  image: GeoTIFFImage,
  directory: TiffDirectory,
): [TiffEntry | undefined, TiffEntry | undefined] {
  const [offsets, counts] = image.isTiled ? TILES : STRIPS;
  return [directory.get(offsets), directory.get(counts)];
}

function refusedPixels(image: GeoTIFFImage): Refusal | undefined {
  const photometric = numberOf(image, 'PhotometricInterpretation');
  const isJpeg = numberOf(image, 'Compression') === JPEG;
  const unread = Object.entries(PHOTOMETRIC).find(
    ([name, value]) => !(name === 'ycbcr' && isJpeg) && value === photometric,
  );
  if (unread !== undefined) {
    return {
      refused: 'unsupported-depth',
      detail: `its pixels are ${unread[0]} colours; grey, RGB or bands are read`,
    };
  }
  const bands = image.getSamplesPerPixel();
  if (bands > MOST_BANDS)
    return {
      refused: 'corrupt',
      detail: `its header promises ${bands} bands; ${MOST_BANDS} at most are read`,
    };
  const listed = tagOf(image, 'BitsPerSample') as ArrayLike<number> | undefined;
  const bits = new Set(listed === undefined ? [1] : Array.from(listed));
  if ((listed?.length ?? 1) < bands) return { refused: 'corrupt', detail: 'it has bands without a depth' };
  const formats = new Set(Array.from({ length: bands }, (_, band) => image.getSampleFormat(band)));
  if (bits.size !== 1 || formats.size !== 1 || dtypeOf(image) === undefined) {
    return {
      refused: 'unsupported-depth',
      detail: `its bits per sample are ${[...bits].join(' and ')}; 8, 16, 32 or 64 are read`,
    };
  }
  return undefined;
}

function refusedMask(mask: GeoTIFFImage, directory: TiffDirectory, limits: SceneLimits): Refusal | undefined {
  if (maskDtype(mask) === undefined) return { refused: 'corrupt', detail: 'its mask makes no sense' };
  const refused = refusedBlocks(mask, directory, limits);
  return refused && { ...refused, detail: `of its mask: ${refused.detail}` };
}

/** A mask has one bit a pixel, or eight. */
export function maskDtype(mask: GeoTIFFImage): 'bit' | 'uint8' | undefined {
  if (mask.getSamplesPerPixel() !== 1) return undefined;
  const bits = numberOf(mask, 'BitsPerSample') ?? 1;
  return bits === 1 ? 'bit' : bits === 8 ? 'uint8' : undefined;
}

export function dtypeOf(image: GeoTIFFImage): string | undefined {
  const kind = { 1: 'uint', 2: 'int', 3: 'float' }[image.getSampleFormat(0)];
  const bits = numberOf(image, 'BitsPerSample') ?? 1;
  const isRead = kind === 'float' ? bits === 32 || bits === 64 : bits === 8 || bits === 16 || bits === 32;
  return kind !== undefined && isRead ? `${kind}${bits}` : undefined;
}

/** A band that is marked as alpha. Where a no-data value is set, that is what counts: NAIP's infrared is marked so. */
export function alphaBand(image: GeoTIFFImage): number | undefined {
  const extra = tagOf(image, 'ExtraSamples') as ArrayLike<number> | undefined;
  const bands = image.getSamplesPerPixel();
  if (extra === undefined || bands < 2) return undefined;
  return extra[extra.length - 1] === 1 || extra[extra.length - 1] === 2 ? bands : undefined;
}
