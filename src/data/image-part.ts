import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Params } from '../config/params.js';
import type { Budget } from '../pool.js';
import { degradeTile } from '../raster/degrade.js';
import type { RasterImage, Refusal } from '../raster/image.js';
import { tileImage } from '../raster/levels.js';
import { encodeTilePng } from '../raster/png.js';
import type { PixelWindow } from '../raster/resample.js';
import { openScene, type Scene, type SceneHeader, type SceneWindow } from '../raster/scene.js';
import { checkPair } from './pair.js';
import { perceptualHash } from './perceptual-hash.js';
import type { RejectReason, RejectRecord, TileRecord } from './records.js';
import { tileId } from './tile-id.js';
import { bandStatistics, worthOf } from './tile-statistics.js';
import { tileGrid, windowRows } from './tile-windows.js';

/** Files up to this size are read once, for hash and pixels; larger ones are hashed first, then read by windows. */
const WHOLE_BYTES = 2 ** 26;
/** A scene of more pixels is made in parts, so that all threads work on it and a crash loses little. */
const PART_PIXELS = 2 ** 24;
/** Read from a scene at once. */
const SPAN_PIXELS = 2 ** 23;

/** The numbers that decide what tiles an image becomes; another value of any makes them anew. */
export interface TileSettings {
  seed: number;
  scales: readonly number[];
  materialize: boolean;
  bands: readonly number[] | null;
  valueRange: readonly [number, number] | null;
  tile: number | null;
  maxPixels: number;
  maxScenePixels: number;
  minStandardDeviation: number;
  maxSaturated: number;
  maxEmpty: number;
  /** Least width and height of a tile, in pixels. */
  minSide: number;
  degradation: Params['data']['degradation'];
}

/** A part of an image to be made. */
export interface PartJob {
  path: string;
  absolute: string;
  /** Of the low-resolution image that goes with it. */
  pair?: string;
  /** Missing: all of a small image, or the size and hash of a large one. */
  part?: { number: number; sha256: string };
}

/** A tile before it is known which scene it belongs to, and the files that it was made into. */
export interface MadeTile extends Omit<TileRecord, 'source' | 'fields'> {
  /** The image's own file is the tile. */
  isSource: boolean;
}

export interface PartResult {
  tiles: MadeTile[];
  rejects: RejectRecord[];
}

/** What came of a job: tiles, or how many parts the image has to be made in. */
export type PartAnswer =
  | { kind: 'made'; sha256?: string; result: PartResult }
  | { kind: 'parts'; sha256: string; parts: number };

/**
 * Makes the tiles of an image, or of a part of one: checked, cut, degraded and written into `folder`. An image that
 * cannot be used is a result, not an error.
 * @param folder where the tiles' files go, see `tileFile`
 * @param budget in pixels: bounds what is decoded at a time
 * @throws errors of writing only
 */
export async function makePart(
  job: PartJob,
  settings: TileSettings,
  folder: string,
  budget: Budget,
): Promise<PartAnswer> {
  const read = await readSource(job);
  if (!('sha256' in read)) return refused(job, {}, 'unreadable', read.problem);
  const { sha256 } = read;
  const scene = await openScene(read.source, settings);
  if ('refused' in scene) return refused(job, { sha256 }, scene.refused, scene.detail);
  try {
    return await new ImageMaker(job, settings, folder, scene, sha256).make(budget);
  } finally {
    await scene.close();
  }
}

type Source = { path: string } | { bytes: Uint8Array };

async function readSource({
  absolute,
  part,
}: PartJob): Promise<{ source: Source; sha256: string } | { problem: string }> {
  try {
    const path = { path: absolute };
    if (part !== undefined) return { source: path, sha256: part.sha256 };
    const hash = createHash('sha256');
    // Threads of their own do this: calls that wait are quicker there than calls that come back later.
    if (statSync(absolute).size <= WHOLE_BYTES) {
      const bytes = readFileSync(absolute);
      return { source: { bytes }, sha256: hash.update(bytes).digest('hex') };
    }
    for await (const chunk of createReadStream(absolute, { highWaterMark: 2 ** 20 }))
      hash.update(chunk as Buffer);
    return { source: path, sha256: hash.digest('hex') };
  } catch (error) {
    return { problem: `it cannot be read: ${(error as Error).message}` };
  }
}

function refused(
  { path }: PartJob,
  known: Partial<RejectRecord>,
  reason: RejectReason,
  detail: string,
): PartAnswer {
  const reject: RejectRecord = { id: tileId(path), path, ...known, reason, detail };
  return {
    kind: 'made',
    ...(known.sha256 === undefined ? {} : { sha256: known.sha256 }),
    result: { tiles: [], rejects: [reject] },
  };
}

class ImageMaker {
  private readonly header: SceneHeader;
  private readonly bands: readonly number[];

  constructor(
    private readonly job: PartJob,
    private readonly settings: TileSettings,
    private readonly folder: string,
    private readonly scene: Scene,
    private readonly sha256: string,
  ) {
    this.header = scene.header;
    this.bands = settings.bands ?? (this.header.bands < 3 ? [1] : [1, 2, 3]);
  }

  async make(budget: Budget): Promise<PartAnswer> {
    const { header, settings, job, sha256 } = this;
    const refuse = (reason: RejectReason, detail: string): PartAnswer =>
      refused(job, this.known(), reason, detail);
    const missing = this.bands.find((band) => band > header.bands);
    if (missing !== undefined) {
      const has = header.bands === 1 ? 'one band' : `${header.bands} bands`;
      return refuse('band-count', `it has ${has}, and data.bands asks for band ${missing}`);
    }
    const grid = tileGrid(settings.scales);
    const rows = windowRows(header, { tile: settings.tile, grid, minSide: settings.minSide });
    if (rows.length === 0 || rows[0]!.length === 0) {
      const { minSide } = settings;
      return refuse(
        'too-small',
        `${header.width} x ${header.height} pixels are less than the ${minSide} x ${minSide} of training.crop`,
      );
    }
    const parts = this.partsOf(rows);
    if (job.part === undefined && parts.length > 1) return { kind: 'parts', sha256, parts: parts.length };
    const whole = rows.length * rows[0]!.length === 1;
    const pair = await this.openPair();
    if (pair !== undefined && 'refused' in pair) {
      return refuse(pair.refused, `its low-resolution image ${job.pair}: ${pair.detail}`);
    }
    const result: PartResult = { tiles: [], rejects: [] };
    try {
      const spans = parts[job.part?.number ?? 0]!.flatMap(spansOf);
      const all = async (): Promise<void> => {
        for (const span of spans) await this.makeSpan(span, whole, pair, result);
      };
      if (!header.windowed) await budget.with(header.width * header.height, all);
      else
        for (const span of spans)
          await budget.with(pixelsOf(span), () => this.makeSpan(span, whole, pair, result));
    } finally {
      await pair?.close();
    }
    return { kind: 'made', sha256, result };
  }

  /** Rows of windows in groups of about PART_PIXELS; an image that is decoded as a whole is one group. */
  private partsOf(rows: PixelWindow[][]): PixelWindow[][][] {
    const { width, height, windowed } = this.header;
    if (!windowed || width * height <= PART_PIXELS) return [rows];
    const size = Math.max(1, Math.floor(PART_PIXELS / (width * rows[0]![0]!.height)));
    const parts: PixelWindow[][][] = [];
    for (let start = 0; start < rows.length; start += size) parts.push(rows.slice(start, start + size));
    return parts;
  }

  private async openPair(): Promise<Scene | Refusal | undefined> {
    return this.job.pair === undefined ? undefined : openScene({ path: this.job.pair }, this.settings);
  }

  /** Reads neighbouring windows at once, since the blocks of a file often reach across them. */
  private async makeSpan(
    windows: PixelWindow[],
    whole: boolean,
    pair: Scene | undefined,
    result: PartResult,
  ): Promise<void> {
    const [first, last] = [windows[0]!, windows.at(-1)!];
    const span = { ...first, width: last.x + last.width - first.x };
    const read = await this.scene.read(span, this.bands);
    for (const window of windows) {
      const made =
        'refused' in read
          ? this.reject(whole ? undefined : window, read.refused, read.detail)
          : await this.makeTile(partOf(read, span, window), window, whole, pair);
      if ('reason' in made) result.rejects.push(made);
      else result.tiles.push(made);
    }
  }

  private async makeTile(
    read: SceneWindow,
    window: PixelWindow,
    whole: boolean,
    pair: Scene | undefined,
  ): Promise<MadeTile | RejectRecord> {
    const { settings, header } = this;
    const image = tileImage(read, header.dtype, settings.valueRange);
    const statistics = bandStatistics(read);
    const emptyShare = shareOf(read.valid, 0);
    const place = this.scene.locate(window);
    const tile: MadeTile = {
      ...this.facts(),
      ...place,
      id: tileId(this.job.path, whole ? undefined : window),
      path: this.job.path,
      window,
      sha256: this.sha256,
      content: contentOf(image),
      width: window.width,
      height: window.height,
      depth: image.data instanceof Uint8Array ? 8 : 16,
      perceptualHash: perceptualHash(image),
      statistics,
      emptyShare,
      isSource: header.plainRgb && header.format === 'png' && whole && isWhole(window, header),
    };
    const problem = this.problemOf(tile, image);
    if (problem !== undefined) return this.reject(whole ? undefined : window, ...problem, tile);
    const low = pair === undefined ? undefined : await this.pairImage(pair, window, image);
    if (low !== undefined && 'reason' in low) {
      return this.reject(whole ? undefined : window, low.reason, low.detail, tile);
    }
    await this.write(tile, image, read.valid, low);
    return tile;
  }

  private problemOf(tile: MadeTile, image: RasterImage): [RejectReason, string] | undefined {
    const { maxEmpty, maxSaturated, minStandardDeviation } = this.settings;
    const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
    if (tile.emptyShare > maxEmpty) {
      return [
        'empty',
        `${percent(tile.emptyShare)} of its pixels have no data, over data.max_empty ${maxEmpty}`,
      ];
    }
    // By band, so that a plain red image counts as constant too.
    const isStored = tile.depth === 8 && tile.emptyShare === 0;
    const { deviation, saturated } = worthOf(image, isStored ? tile.statistics : undefined);
    if (deviation < minStandardDeviation) {
      const { minimum, maximum } = tile.statistics;
      // Samples of 12 bits in 16 look black.
      const range = `; its values are ${Math.min(...minimum)} to ${Math.max(...maximum)}: does data.value_range fit them?`;
      return [
        'constant',
        `its standard deviation ${deviation.toFixed(2)} is below data.min_standard_deviation ${minStandardDeviation}${tile.depth === 16 ? range : ''}`,
      ];
    }
    if (saturated > maxSaturated) {
      return [
        'saturated',
        `${percent(saturated)} of its samples are at the top, over data.max_saturated ${maxSaturated}`,
      ];
    }
    return undefined;
  }

  /** The low-resolution window of a real pair, once it is known to show the same place. */
  private async pairImage(
    pair: Scene,
    window: PixelWindow,
    high: RasterImage,
  ): Promise<RasterImage | { reason: RejectReason; detail: string }> {
    const scale = this.settings.scales[0]!;
    const { width, height, bands, dtype } = pair.header;
    const expected = { width: this.header.width / scale, height: this.header.height / scale };
    if (Math.abs(width - expected.width) > 1 || Math.abs(height - expected.height) > 1) {
      const detail = `its low-resolution image is ${width} x ${height} pixels, and 1/${scale} of it would be ${expected.width.toFixed(1)} x ${expected.height.toFixed(1)}`;
      return { reason: 'pair-size', detail };
    }
    const part: PixelWindow = {
      x: Math.round(window.x / scale),
      y: Math.round(window.y / scale),
      width: Math.round(window.width / scale),
      height: Math.round(window.height / scale),
    };
    if (part.x + part.width > width || part.y + part.height > height) {
      return { reason: 'pair-size', detail: 'its low-resolution image ends before it does' };
    }
    const chosen = this.bands.every((band) => band <= bands) ? this.bands : [1];
    const read = await pair.read(part, chosen);
    if ('refused' in read)
      return { reason: read.refused, detail: `its low-resolution image: ${read.detail}` };
    const low = tileImage(read, dtype, this.settings.valueRange);
    return checkPair(high, low, scale) ?? low;
  }

  private async write(
    tile: MadeTile,
    image: RasterImage,
    valid: Uint8Array | undefined,
    pair: RasterImage | undefined,
  ): Promise<void> {
    const { folder, settings } = this;
    if (!tile.isSource) writeTile(tileFile(folder, 'HR', tile.id), encodeTilePng(image));
    if (tile.emptyShare > 0 && valid !== undefined) {
      const mask = {
        width: image.width,
        height: image.height,
        bands: 1,
        data: valid.map((one) => one * 255),
      };
      writeTile(tileFile(folder, 'mask', tile.id), encodeTilePng(mask));
    }
    if (!settings.materialize && pair === undefined) return;
    for (const scale of settings.scales) {
      const low =
        pair ?? (await degradeTile(image, scale, settings.degradation, { seed: settings.seed, id: tile.id }));
      writeTile(tileFile(folder, `LR_${scale}x`, tile.id), encodeTilePng(low));
    }
  }

  private facts() {
    const { bands, dtype, crs, gsd, captureDate, sensor } = this.header;
    return { bands, dtype, crs, gsd, captureDate, sensor };
  }

  private known(): Partial<RejectRecord> {
    const { width, height, bands, dtype } = this.header;
    return { sha256: this.sha256, width, height, bands, dtype };
  }

  private reject(
    window: PixelWindow | undefined,
    reason: RejectReason,
    detail: string,
    known?: Partial<TileRecord>,
  ): RejectRecord {
    const { path } = this.job;
    const part = window === undefined ? {} : { window, width: window.width, height: window.height };
    return {
      id: tileId(path, window),
      path,
      ...this.known(),
      ...part,
      reason,
      detail,
      ...(known && { known }),
    };
  }
}

function pixelsOf(windows: PixelWindow[]): number {
  return windows.reduce((sum, { width, height }) => sum + width * height, 0);
}

/** A row of windows in runs of at most SPAN_PIXELS, however wide the scene is. */
function spansOf(row: PixelWindow[]): PixelWindow[][] {
  const spans: PixelWindow[][] = [];
  for (const window of row) {
    const last = spans.at(-1);
    if (last === undefined || pixelsOf(last) + pixelsOf([window]) > SPAN_PIXELS) spans.push([window]);
    else last.push(window);
  }
  return spans;
}

/** Where a tile's file lies in the folder of tiles: in one of 16 folders, since very many in one are slow. */
export function tileFile(folder: string, kind: string, id: string): string {
  const first = createHash('sha256').update(id).digest('hex').slice(0, 1);
  return join(folder, 'tiles', kind, first, `${id}.png`);
}

/**
 * Beside what was there, so that a dataset that links to it keeps it. A broken-off file is no harm: the image counts
 * as made, and the file is flushed to the disk, only after this.
 */
function writeTile(path: string, bytes: Uint8Array): void {
  const write = (): void => writeFileSync(path, bytes, { flag: 'wx' });
  try {
    write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') unlinkSync(path);
    else if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true });
    else throw error;
    write();
  }
}

function contentOf({ width, height, bands, data }: RasterImage): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash('sha256')
    .update(`${width} ${height} ${bands} ${data.BYTES_PER_ELEMENT} `)
    .update(bytes)
    .digest('hex');
}

function isWhole(window: PixelWindow, { width, height }: SceneHeader): boolean {
  return window.width === width && window.height === height;
}

/** Share of pixels whose mark is `value`; 0 without marks. */
function shareOf(marks: Uint8Array | undefined, value: number): number {
  if (marks === undefined) return 0;
  let count = 0;
  for (let index = 0; index < marks.length; index++) if (marks[index] === value) count++;
  return count / marks.length;
}

/** The pixels of `window` out of those of `span`, both in pixels of the scene. */
function partOf(read: SceneWindow, span: PixelWindow, window: PixelWindow): SceneWindow {
  if (span.width === window.width && span.height === window.height) return read;
  const { bands, samples } = read;
  const cut = <Data extends SceneWindow['samples']>(from: Data, channels: number): Data => {
    const to = from.slice(0, window.width * window.height * channels) as Data;
    for (let y = 0; y < window.height; y++) {
      const start = (y * span.width + window.x - span.x) * channels;
      to.set(from.subarray(start, start + window.width * channels) as never, y * window.width * channels);
    }
    return to;
  };
  return {
    samples: cut(samples, bands),
    width: window.width,
    height: window.height,
    bands,
    ...(read.valid === undefined ? {} : { valid: cut(read.valid, 1) }),
  };
}
