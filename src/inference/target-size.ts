import { HndsrError } from '../errors.js';
import type { Size } from '../raster/degrade.js';

/** How large an output is to be: by a factor, in pixels, or in metres of a pixel on the ground. */
export type TargetChoice =
  | { kind: 'scale'; scale: number }
  | { kind: 'size'; width: number; height: number }
  | { kind: 'gsd'; metres: number };

export interface Target extends Size {
  /** Output pixels per input pixel across and down, as they come out after rounding to whole pixels. */
  across: number;
  down: number;
  /** What the model is told: the geometric mean of both, or the scale that was asked for. */
  scale: number;
}

/** As the model is trained and as flags say. */
const LARGEST = 8;

/**
 * The size of an output.
 * @param source of the input; gsd in metres, where the file is georeferenced
 * @param name of the input, for messages
 * @throws HndsrError INPUT_INVALID where the choice does not fit this input
 */
export function targetSize(source: Size & { gsd?: number }, choice: TargetChoice, name: string): Target {
  const { width, height } = source;
  if (choice.kind === 'size') {
    const [across, down] = [choice.width / width, choice.height / height];
    const asked = `--size ${choice.width}x${choice.height}`;
    checkScale(Math.min(across, down), asked, name, source);
    checkScale(Math.max(across, down), asked, name, source);
    return { ...sizeOf(choice.width, choice.height, source), scale: Math.sqrt(across * down) };
  }
  if (choice.kind === 'scale') {
    checkScale(choice.scale, `--scale ${choice.scale}`, name, source);
    return scaled(source, choice.scale);
  }
  if (source.gsd === undefined) {
    throw new HndsrError('INPUT_INVALID', `${name}: --gsd needs a georeferenced image, and this one is not`, {
      hint: 'Use --scale or --size.',
    });
  }
  const scale = source.gsd / choice.metres;
  checkScale(scale, `--gsd ${choice.metres}`, name, source);
  return scaled(source, scale);
}

function scaled(source: Size, scale: number): Target {
  const target = sizeOf(
    Math.max(1, Math.round(source.width * scale)),
    Math.max(1, Math.round(source.height * scale)),
    source,
  );
  return { ...target, scale };
}

function sizeOf(width: number, height: number, source: Size): Omit<Target, 'scale'> {
  return { width, height, across: width / source.width, down: height / source.height };
}

function checkScale(scale: number, asked: string, name: string, source: Size & { gsd?: number }): void {
  if (scale > 1 && scale <= LARGEST) return;
  const { width, height, gsd } = source;
  const size = gsd === undefined ? `${width} x ${height}` : `${width} x ${height}, ${round(gsd)} m a pixel`;
  throw new HndsrError(
    'INPUT_INVALID',
    `${name} (${size}): ${asked} would be ${round(scale)} times as large; more than 1 and at most ${LARGEST} is possible`,
    { hint: `Between ${range(source)}.` },
  );
}

function range({ width, height, gsd }: Size & { gsd?: number }): string {
  const sizes = `${width + 1}x${height + 1} and ${width * LARGEST}x${height * LARGEST} with --size`;
  return gsd === undefined ? sizes : `${round(gsd / LARGEST)} and ${round(gsd)} m with --gsd, or ${sizes}`;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
