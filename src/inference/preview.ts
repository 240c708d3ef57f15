import { existsSync } from 'node:fs';
import { writeAtomic } from '../atomic.js';
import type { Size } from '../raster/degrade.js';
import { type ByteImage, encodePng, fromUnit } from '../raster/image.js';
import { panelPng } from '../raster/panel.js';
import { type PixelWindow, resizeBicubicPart, sourceWindow } from '../raster/resample.js';
import type { SceneLimits } from '../raster/scene.js';
import { openUnitScene, type UnitScene } from '../raster/unit-scene.js';
import { SIDE_FILES } from './plan-outputs.js';
import { previewPage } from './preview-page.js';

/** Of the part of an output that is shown: as much as a screen shows without shrinking it. */
const LARGEST: Size = { width: 1200, height: 900 };

export interface PreviewOptions {
  /** What was upscaled, open. */
  source: UnitScene;
  /** Absolute path of what it became. */
  output: string;
  limits: SceneLimits;
  /** Names for the page. */
  input: string;
  /** Facts below the pictures, such as the version and the seed. */
  facts: Readonly<Record<string, string>>;
}

export interface PreviewFiles {
  /** Side by side. */
  picture: string;
  /** With a slider between them. */
  page: string;
}

/**
 * Writes two looks at an output beside it: before (by a bicubic kernel) and after side by side as PNG, and a page with
 * a slider between them that needs nothing but itself. Of large outputs the middle is shown, pixel for pixel.
 * @throws HndsrError INPUT_INVALID, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function writePreview(options: PreviewOptions): Promise<PreviewFiles> {
  const { source, output, limits, input, facts } = options;
  const { low, high } = source.groups[0]!;
  const made = await openUnitScene(output, { limits, scaling: { kind: 'range', low, high } });
  try {
    const target = { width: made.header.width, height: made.header.height };
    const window = middle(target);
    const before = await enlarged(source, target, window);
    const after = toBytes((await made.read(window))[0]!.data as Float32Array, window);
    const files = previewFiles(output);
    await writeAtomic(files.picture, await panelPng([[before, after]]));
    const [one, two] = [await encodePng(before), await encodePng(after)];
    const isPart = window.width < target.width || window.height < target.height;
    const shown = isPart
      ? `the middle ${window.width} x ${window.height} of ${target.width} x ${target.height} pixels`
      : `${target.width} x ${target.height} pixels`;
    const page = previewPage({
      before: one,
      after: two,
      ...window,
      title: input,
      facts: { shown, ...facts },
    });
    await writeAtomic(files.page, page);
    return files;
  } finally {
    await made.close();
  }
}

function previewFiles(output: string): PreviewFiles {
  const stem = output.replace(/\.[^./\\]+$/, '');
  return { picture: stem + SIDE_FILES.preview, page: stem + SIDE_FILES.page };
}

export function hasPreview(output: string): boolean {
  return Object.values(previewFiles(output)).every((path) => existsSync(path));
}

function middle({ width, height }: Size): PixelWindow {
  const [across, down] = [Math.min(width, LARGEST.width), Math.min(height, LARGEST.height)];
  return {
    x: Math.floor((width - across) / 2),
    y: Math.floor((height - down) / 2),
    width: across,
    height: down,
  };
}

async function enlarged(source: UnitScene, target: Size, window: PixelWindow): Promise<ByteImage> {
  const part = sourceWindow(source.header, target.width, target.height, window);
  const low = (await source.read(part))[0]!;
  return toBytes(resizeBicubicPart(low, part, source.header, target.width, target.height, window), window);
}

function toBytes(data: Float32Array, { width, height }: PixelWindow): ByteImage {
  return fromUnit(data, width, height);
}
