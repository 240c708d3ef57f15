import { fromArrayBuffer, fromFile, type GeoTIFF, type GeoTIFFImage } from 'geotiff';
import { Geography, type GeoKeys, type Transform } from './geography.js';
import { type Refusal, refusalOf } from './image.js';
import type { PixelWindow } from './resample.js';
import {
  cutWindow,
  marksOf,
  type Place,
  type Samples,
  type Scene,
  type SceneHeader,
  type SceneLimits,
  type SceneSource,
  type SceneWindow,
} from './scene.js';
import { isoDate } from './scene-picture.js';

/** Bits of NewSubfileType (TIFF 6.0, section 8): an overview, and a mask. */
const OVERVIEW = 1;
const MASK = 4;
const PHOTOMETRIC = { palette: 3, mask: 4, separated: 5, ycbcr: 6, lab: 8 } as const;
/** Directories that are looked at: a file with more is damaged or hostile. */
const MOST_DIRECTORIES = 64;

/** TIFF, BigTIFF, GeoTIFF and COG: of 8 to 64 bits, whole or floating, any number of bands; read by windows. */
export async function openTiff(source: SceneSource, limits: SceneLimits): Promise<Scene | Refusal> {
  let file: GeoTIFF | undefined;
  try {
    file = 'path' in source ? await fromFile(source.path) : await fromArrayBuffer(exactBuffer(source.bytes));
    const directories = await directoriesOf(file);
    const refused = refusedHeader(directories, limits);
    if (refused === undefined) return new TiffScene(file, directories, limits);
    await closeFile(file);
    return refused;
  } catch (error) {
    if (file !== undefined) await closeFile(file);
    return tiffRefusal(error, source);
  }
}

function exactBuffer({ buffer, byteOffset, byteLength }: Uint8Array): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
}

async function closeFile(file: GeoTIFF): Promise<void> {
  await file.close();
}

interface Directories {
  main: GeoTIFFImage;
  mask: GeoTIFFImage | undefined;
  /** Images that are neither an overview nor a mask of another. */
  pages: number;
}

async function directoriesOf(file: GeoTIFF): Promise<Directories> {
  const main = await file.getImage(0);
  let [mask, pages]: [GeoTIFFImage | undefined, number] = [undefined, 1];
  const count = Math.min(await file.getImageCount(), MOST_DIRECTORIES);
  for (let index = 1; index < count; index++) {
    const image = await file.getImage(index);
    const kind = numberOf(image, 'NewSubfileType') ?? 0;
    const sameSize = image.getWidth() === main.getWidth() && image.getHeight() === main.getHeight();
    if ((kind & MASK) !== 0 && (kind & OVERVIEW) === 0 && sameSize) mask = image;
    else if ((kind & (OVERVIEW | MASK)) === 0) pages++;
  }
  return { main, mask, pages };
}

/** The value of a tag, or the first of its values. */
function numberOf(image: GeoTIFFImage, name: string): number | undefined {
  const value: unknown = tagOf(image, name);
  if (typeof value === 'number') return value;
  const first = (value as ArrayLike<unknown> | undefined)?.[0];
  return typeof first === 'number' ? first : undefined;
}

function tagOf(image: GeoTIFFImage, name: string): unknown {
  const directory = image.fileDirectory as unknown as { getValue(name: string): unknown };
  try {
    return directory.getValue(name);
  } catch {
    return undefined;
  }
}

function refusedHeader({ main, pages }: Directories, limits: SceneLimits): Refusal | undefined {
  if (pages > 1)
    return { refused: 'multi-page', detail: `it has ${pages} pages; one image a file is supported` };
  const [width, height, bands] = [main.getWidth(), main.getHeight(), main.getSamplesPerPixel()];
  if (!(width > 0 && height > 0 && bands > 0))
    return { refused: 'corrupt', detail: 'its header gives no size' };
  if (width * height > limits.maxScenePixels) {
    return {
      refused: 'too-many-pixels',
      detail: `its header promises ${width} x ${height} pixels, more than the limit of ${limits.maxScenePixels} (data.max_scene_pixels)`,
    };
  }
  const [across, down] = [main.getTileWidth(), main.getTileHeight()];
  if (across * down > limits.maxPixels) {
    return {
      refused: 'too-many-pixels',
      detail: `its blocks are ${across} x ${down} pixels, more than the limit of ${limits.maxPixels}`,
    };
  }
  const photometric = numberOf(main, 'PhotometricInterpretation');
  const unread = Object.entries(PHOTOMETRIC).find(
    ([name, value]) => name !== 'ycbcr' && value === photometric,
  );
  if (unread !== undefined) {
    return {
      refused: 'unsupported-depth',
      detail: `its pixels are ${unread[0]} colours; grey, RGB or bands are read`,
    };
  }
  const bits = new Set(Array.from({ length: bands }, (_, band) => main.getBitsPerSample(band) || 1));
  const formats = new Set(Array.from({ length: bands }, (_, band) => main.getSampleFormat(band)));
  if (bits.size !== 1 || formats.size !== 1 || dtypeOf(main) === undefined) {
    return {
      refused: 'unsupported-depth',
      detail: `its bits per sample are ${[...bits].join(' and ')}; 8, 16, 32 or 64 are read`,
    };
  }
  return undefined;
}

function dtypeOf(image: GeoTIFFImage): string | undefined {
  const kind = { 1: 'uint', 2: 'int', 3: 'float' }[image.getSampleFormat(0)];
  const bits = image.getBitsPerSample(0);
  const isRead = kind === 'float' ? bits === 32 || bits === 64 : bits === 8 || bits === 16 || bits === 32;
  return kind !== undefined && isRead ? `${kind}${bits}` : undefined;
}

class TiffScene implements Scene {
  readonly header: SceneHeader;
  private readonly geography: Geography | undefined;
  private readonly image: GeoTIFFImage;
  private readonly mask: GeoTIFFImage | undefined;
  /** From 1: a band that says how opaque pixels are. */
  private readonly alpha: number | undefined;
  /** As of EXIF, 1 to 8; pixels are stored so. */
  private readonly orientation: number;

  constructor(
    private readonly file: GeoTIFF,
    { main, mask }: Directories,
    private readonly limits: SceneLimits,
  ) {
    this.image = main;
    this.mask = mask;
    this.orientation = numberOf(main, 'Orientation') ?? 1;
    const noData = main.getGDALNoData() ?? undefined;
    this.alpha = noData === undefined && mask === undefined ? alphaBand(main) : undefined;
    const turned = this.orientation >= 5;
    const [width, height] = [main.getWidth(), main.getHeight()];
    this.geography = geographyOf(main);
    const { crs, gsd } = this.geography ?? {};
    const captureDate = isoDate(String(tagOf(main, 'DateTime') ?? ''));
    const sensor = text(tagOf(main, 'Model'));
    this.header = {
      width: turned ? height : width,
      height: turned ? width : height,
      bands: main.getSamplesPerPixel() - (this.alpha === undefined ? 0 : 1),
      dtype: dtypeOf(main)!,
      format: 'tiff',
      plainRgb: false,
      // Pixels that are turned are read as a whole.
      windowed: this.orientation === 1,
      ...(noData !== undefined && { noData }),
      ...(crs !== undefined && { crs }),
      ...(gsd !== undefined && { gsd }),
      ...(captureDate !== undefined && { captureDate }),
      ...(sensor !== undefined && { sensor }),
    };
  }

  locate(window: PixelWindow): Place | undefined {
    return this.orientation === 1 ? this.geography?.locate(window) : undefined;
  }

  async close(): Promise<void> {
    await closeFile(this.file);
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
    const all = await readRasters(this.image, window, wanted);
    if (all.length !== width * height * wanted.length)
      throw new Error('it ends before its pixels do (truncated)');
    const mask = this.mask && (await readRasters(this.mask, window, [1]));
    const image = { data: all, width, bands: wanted.length };
    const whole = { x: 0, y: 0, width, height };
    const samples =
      this.alpha === undefined
        ? all
        : cutWindow(
            image,
            whole,
            bands.map((_, index) => index + 1),
          );
    const opacity = mask ?? (this.alpha === undefined ? undefined : cutWindow(image, whole, [wanted.length]));
    const valid = this.marks(samples, bands.length, opacity);
    return { samples, width, height, bands: bands.length, ...valid };
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
    const turn = (data: Samples, channels: number): Samples =>
      cutWindow(
        { data: this.turned(data, stored, channels), width: this.header.width, bands: channels },
        window,
        [...Array.from({ length: channels }, (_, index) => index + 1)],
      );
    return {
      samples: turn(whole.samples, bands.length),
      width: window.width,
      height: window.height,
      bands: bands.length,
      ...(whole.valid === undefined ? {} : marksOf(turn(whole.valid, 1) as Uint8Array)),
    };
  }

  /** Pixels as a viewer shows them (TIFF 6.0, Orientation). */
  private turned(data: Samples, { width, height }: PixelWindow, channels: number): Samples {
    const target = data.slice() as Samples;
    const { width: wide, height: tall } = this.header;
    let out = 0;
    for (let y = 0; y < tall; y++) {
      for (let x = 0; x < wide; x++) {
        const [column, row] = this.storedPlace(x, y, width, height);
        const pixel = (row * width + column) * channels;
        for (let channel = 0; channel < channels; channel++) target[out++] = data[pixel + channel]!;
      }
    }
    return target;
  }

  /** Where the pixel at a viewer's x, y is stored. */
  private storedPlace(x: number, y: number, width: number, height: number): [number, number] {
    switch (this.orientation) {
      case 2:
        return [width - 1 - x, y];
      case 3:
        return [width - 1 - x, height - 1 - y];
      case 4:
        return [x, height - 1 - y];
      case 5:
        return [y, x];
      case 6:
        return [y, height - 1 - x];
      case 7:
        return [width - 1 - y, height - 1 - x];
      case 8:
        return [width - 1 - y, x];
      default:
        return [x, y];
    }
  }
}

function text(value: unknown): string | undefined {
  const found = typeof value === 'string' ? value.replace(/\0/g, '').trim() : '';
  return found === '' ? undefined : found;
}

/** A band that is marked as alpha. Where a no-data value is set, that is what counts: NAIP's infrared is marked so. */
function alphaBand(image: GeoTIFFImage): number | undefined {
  const extra = tagOf(image, 'ExtraSamples') as ArrayLike<number> | undefined;
  const bands = image.getSamplesPerPixel();
  if (extra === undefined || bands < 2) return undefined;
  return extra[extra.length - 1] === 1 || extra[extra.length - 1] === 2 ? bands : undefined;
}

function geographyOf(image: GeoTIFFImage): Geography | undefined {
  const keys = image.getGeoKeys() as GeoKeys | null;
  if (keys === null) return undefined;
  const transform = transformOf(image, keys);
  return transform && new Geography(transform, keys, { width: image.getWidth(), height: image.getHeight() });
}

/** GeoTIFF 1.1, section 7.6: a matrix, or a scale and one point. */
function transformOf(image: GeoTIFFImage, keys: GeoKeys): Transform | undefined {
  const matrix = tagOf(image, 'ModelTransformation') as ArrayLike<number> | undefined;
  const scale = tagOf(image, 'ModelPixelScale') as ArrayLike<number> | undefined;
  const tie = tagOf(image, 'ModelTiepoint') as ArrayLike<number> | undefined;
  // Where the point is that of a pixel's centre, its corner lies half a pixel before.
  const half = keys.GTRasterTypeGeoKey === 2 ? 0.5 : 0;
  const shifted = (a: number, b: number, c: number): [number, number, number] => [a - half * (b + c), b, c];
  if (matrix !== undefined && matrix.length >= 8) {
    return [...shifted(matrix[3]!, matrix[0]!, matrix[1]!), ...shifted(matrix[7]!, matrix[4]!, matrix[5]!)];
  }
  if (scale === undefined || tie === undefined || tie.length < 6) return undefined;
  const [x, y] = [scale[0]!, -scale[1]!];
  return [...shifted(tie[3]! - tie[0]! * x, x, 0), ...shifted(tie[4]! - tie[1]! * y, 0, y)];
}

async function readRasters(
  image: GeoTIFFImage,
  window: PixelWindow,
  bands: readonly number[],
): Promise<Samples> {
  const { x, y, width, height } = window;
  return (await image.readRasters({
    window: [x, y, x + width, y + height],
    samples: bands.map((band) => band - 1),
    interleave: true,
  })) as unknown as Samples;
}

function tiffRefusal(error: unknown, source: SceneSource | undefined): Refusal {
  const bytes = source !== undefined && 'bytes' in source ? source.bytes : new Uint8Array();
  const problem = error instanceof Error ? error : new Error(String(error));
  if (/offset is outside|invalid typed array length|out of range|Offset|EOF|beyond/i.test(problem.message)) {
    return { refused: 'truncated', detail: `it ends before the image does (${problem.message})` };
  }
  return refusalOf(problem, bytes);
}
