import { GeoTIFF, type GeoTIFFImage } from 'geotiff';
import type { Carried } from '../carried.js';
import type { Geography } from '../geography.js';
import { type Refusal, refusalOf } from '../image.js';
import type { PixelWindow } from '../resample.js';
import type { Samples } from '../samples.js';
import {
  cutWindow,
  marksOf,
  type Place,
  type Scene,
  type SceneHeader,
  type SceneLimits,
  type SceneSource,
  type SceneWindow,
} from '../scene.js';
import { isoDate } from '../scene-picture.js';
import { BlockReader } from './blocks.js';
import { geotiffSource, openBytes, type TiffBytes } from './bytes.js';
import { readDirectories } from './directories.js';
import { geographyOf, georeferenceOf, metadataItems } from './georeference.js';
import { alphaBand, type Directories, directoriesOf, dtypeOf, maskDtype, refusedHeader } from './header.js';
import { loadTag, numberOf, tagOf, text } from './tags.js';
import { turned } from './turn.js';

const PHOTOMETRIC_RGB = 2;
const PHOTOMETRIC_YCBCR = 6;
const ICC_PROFILE = 34_675;
const GDAL_METADATA = 42_112;
/** Document name, description, maker, model, date, artist, copyright. */
const TEXTS = [269, 270, 271, 272, 306, 315, 33_432];
/** Of a text or a colour profile that is copied. */
const MOST_COPIED_BYTES = 2 ** 22;

/** TIFF, BigTIFF, GeoTIFF and COG: of 8 to 64 bits, whole or floating, any number of bands; read by windows. */
export async function openTiff(source: SceneSource, limits: SceneLimits): Promise<Scene | Refusal> {
  let bytes: TiffBytes | undefined;
  try {
    bytes = await openBytes(source);
    const checked = await readDirectories(bytes);
    const file = await GeoTIFF.fromSource(geotiffSource(bytes) as never);
    const directories = await directoriesOf(file, checked.directories);
    const refused = refusedHeader(directories, limits);
    if (refused === undefined) return await TiffScene.open(bytes, directories, checked.littleEndian, limits);
    await bytes.close();
    return refused;
  } catch (error) {
    await bytes?.close();
    return tiffRefusal(error, source);
  }
}

interface Readers {
  pixels: BlockReader;
  mask: BlockReader | undefined;
}

class TiffScene implements Scene {
  readonly header: SceneHeader;
  private readonly geography: Geography | undefined;
  /** From 1: a band that says how opaque pixels are. */
  private readonly alpha: number | undefined;
  /** As of EXIF, 1 to 8; pixels are stored so. */
  private readonly orientation: number;

  private constructor(
    private readonly bytes: TiffBytes,
    private readonly image: GeoTIFFImage,
    private readonly readers: Readers,
    private readonly limits: SceneLimits,
  ) {
    this.orientation = numberOf(image, 'Orientation') ?? 1;
    const noData = image.getGDALNoData() ?? undefined;
    this.alpha = noData === undefined && readers.mask === undefined ? alphaBand(image) : undefined;
    const turns = this.orientation >= 5;
    const [width, height] = [image.getWidth(), image.getHeight()];
    this.geography = geographyOf(image);
    const { crs, gsd } = this.geography ?? {};
    const captureDate = isoDate(String(tagOf(image, 'DateTime') ?? ''));
    const sensor = text(tagOf(image, 'Model'));
    this.header = {
      width: turns ? height : width,
      height: turns ? width : height,
      bands: image.getSamplesPerPixel() - (this.alpha === undefined ? 0 : 1),
      dtype: dtypeOf(image)!,
      format: 'tiff',
      plainRgb: false,
      // Pixels that are turned are read as a whole.
      windowed: this.orientation === 1,
      opacity: this.alpha !== undefined ? 'alpha' : readers.mask !== undefined ? 'mask' : 'none',
      ...(noData !== undefined && { noData }),
      ...(crs !== undefined && { crs }),
      ...(gsd !== undefined && { gsd }),
      ...(captureDate !== undefined && { captureDate }),
      ...(sensor !== undefined && { sensor }),
    };
  }

  static async open(
    bytes: TiffBytes,
    { main, mask, directory }: Directories,
    littleEndian: boolean,
    limits: SceneLimits,
  ): Promise<TiffScene> {
    const pixels = await BlockReader.open({ image: main, directory }, bytes, dtypeOf(main)!, littleEndian);
    const masks = mask && (await BlockReader.open(mask, bytes, maskDtype(mask.image)!, littleEndian));
    return new TiffScene(bytes, main, { pixels, mask: masks }, limits);
  }

  locate(window: PixelWindow): Place | undefined {
    return this.orientation === 1 ? this.geography?.locate(window) : undefined;
  }

  async close(): Promise<void> {
    await this.bytes.close();
  }

  async carried(): Promise<Carried> {
    const { image } = this;
    const isUpright = this.orientation === 1;
    const geo = isUpright ? await georeferenceOf(image).catch(() => undefined) : undefined;
    const icc = await copied(image, ICC_PROFILE);
    const xml = await copied(image, GDAL_METADATA);
    const texts: Record<number, string> = {};
    for (const tag of TEXTS) {
      const found = text(await copied(image, tag));
      if (found !== undefined) texts[tag] = found;
    }
    const noData = text(await copied(image, 'GDAL_NODATA'));
    const photometric = numberOf(image, 'PhotometricInterpretation');
    return {
      ...(icc instanceof Uint8Array && { icc }),
      ...(geo !== undefined && { geo }),
      ...(noData !== undefined && { noData }),
      metadata: typeof xml === 'string' ? metadataItems(xml) : [],
      texts,
      isRgb: photometric === PHOTOMETRIC_RGB || photometric === PHOTOMETRIC_YCBCR,
    };
  }

  async read(window: PixelWindow, bands: readonly number[]): Promise<SceneWindow | Refusal> {
    if (window.width * window.height > this.limits.maxPixels) {
      return {
        refused: 'too-many-pixels',
        detail: `a window of ${window.width} x ${window.height} pixels is more than the limit of ${this.limits.maxPixels}`,
      };
    }
    try {
      return await (this.orientation === 1 ? this.readStored(window, bands) : this.readTurned(window, bands));
    } catch (error) {
      return tiffRefusal(error, undefined);
    }
  }

  private async readStored(window: PixelWindow, bands: readonly number[]): Promise<SceneWindow> {
    const { width, height } = window;
    const wanted = this.alpha === undefined ? bands : [...bands, this.alpha];
    const all = await this.readers.pixels.read(window, wanted);
    const mask = await this.readers.mask?.read(window, [1]);
    if (this.alpha === undefined) {
      const valid = this.marks(all, bands.length, mask);
      return { samples: all, width, height, bands: bands.length, ...valid };
    }
    const image = { data: all, width, bands: wanted.length };
    const whole = { x: 0, y: 0, width, height };
    const samples = cutWindow(image, whole, oneTo(bands.length));
    const opacity = cutWindow(image, whole, [wanted.length]);
    const valid = this.marks(samples, bands.length, opacity);
    return { samples, width, height, bands: bands.length, opacity, ...valid };
  }

  /** A pixel has no data where it is masked, where all bands have the no-data value, or where any is no number. */
  private marks(samples: Samples, bands: number, opacity: Samples | undefined): { valid?: Uint8Array } {
    const { noData, dtype } = this.header;
    const isFloat = dtype.startsWith('float');
    if (noData === undefined && opacity === undefined && !isFloat) return {};
    const valid = new Uint8Array(samples.length / bands).fill(1);
    // The tag is text; samples of 32 bits hold the nearest number to it.
    const empty = dtype === 'float32' && noData !== undefined ? Math.fround(noData) : noData;
    for (let pixel = 0, index = 0; pixel < valid.length; pixel++) {
      let [allEmpty, anyNaN] = [empty !== undefined, false];
      for (let band = 0; band < bands; band++) {
        const value = samples[index++]!;
        if (value !== empty) allEmpty = false;
        if (!Number.isFinite(value)) anyNaN = true;
      }
      if (allEmpty || anyNaN || (opacity !== undefined && opacity[pixel] === 0)) valid[pixel] = 0;
    }
    return marksOf(valid);
  }

  private async readTurned(window: PixelWindow, bands: readonly number[]): Promise<SceneWindow | Refusal> {
    const stored = { x: 0, y: 0, width: this.image.getWidth(), height: this.image.getHeight() };
    if (stored.width * stored.height > this.limits.maxPixels) {
      return {
        refused: 'too-many-pixels',
        detail: 'its pixels are stored turned, and too many to be turned back',
      };
    }
    const whole = await this.readStored(stored, bands);
    const turn = (data: Samples, channels: number): Samples => {
      const upright = turned(data, stored, channels, this.orientation);
      return cutWindow({ data: upright, width: this.header.width, bands: channels }, window, oneTo(channels));
    };
    return {
      samples: turn(whole.samples, bands.length),
      width: window.width,
      height: window.height,
      bands: bands.length,
      ...(whole.opacity !== undefined && { opacity: turn(whole.opacity, 1) }),
      ...(whole.valid === undefined ? {} : marksOf(turn(whole.valid, 1) as Uint8Array)),
    };
  }
}

function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** The value of a tag that is to be written again; nothing where it is damaged or too long. */
async function copied(image: GeoTIFFImage, tag: string | number): Promise<unknown> {
  const value = await loadTag(image, tag).catch(() => undefined);
  return ((value as { length?: number } | undefined)?.length ?? 0) > MOST_COPIED_BYTES ? undefined : value;
}

function tiffRefusal(error: unknown, source: SceneSource | undefined): Refusal {
  const bytes = source !== undefined && 'bytes' in source ? source.bytes : new Uint8Array();
  const problem = error instanceof Error ? error : new Error(String(error));
  if (/offset is outside|invalid typed array length|out of range|Offset|EOF|beyond/i.test(problem.message)) {
    return { refused: 'truncated', detail: `it ends before the image does (${problem.message})` };
  }
  return refusalOf(problem, bytes);
}
