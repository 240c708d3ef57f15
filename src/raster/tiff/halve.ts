import { type Samples, samplesOf } from '../samples.js';

/** Rows of an image and, where it keeps one, of its mask. */
export interface Rows {
  samples: Samples;
  mask?: Uint8Array;
}

export interface PixelForm {
  dtype: string;
  /** Samples to a pixel, with opacity. */
  channels: number;
  /** The last sample of a pixel is its opacity. */
  alpha: boolean;
  noData?: number;
}

/**
 * One row of half the width out of one or two rows: the mean of 2 x 2 pixels, or of as many as there are at the edges.
 * Pixels without data are left out of the mean; opaque ones count more.
 */
export function halveRows(upper: Rows, lower: Rows | undefined, width: number, form: PixelForm): Rows {
  const { dtype, channels } = form;
  const half = Math.ceil(width / 2);
  const samples = samplesOf(dtype, half * channels);
  const mask = upper.mask === undefined ? undefined : new Uint8Array(half);
  const isFloat = dtype.startsWith('float');
  const isPlain = !form.alpha && form.noData === undefined && mask === undefined && !isFloat;
  const rows = lower === undefined ? [upper] : [upper, lower];
  for (let x = 0; x < half; x++) {
    const columns = 2 * x + 1 < width ? 2 : 1;
    if (isPlain) meanOf(rows, 2 * x, columns, channels, samples, x * channels);
    else if (weightedMean(rows, 2 * x, columns, form, samples, x * channels) && mask !== undefined)
      mask[x] = 1;
  }
  return { samples, ...(mask !== undefined && { mask }) };
}

function meanOf(rows: Rows[], x: number, columns: number, channels: number, out: Samples, to: number): void {
  const count = rows.length * columns;
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0;
    for (const { samples } of rows) {
      sum += samples[x * channels + channel]!;
      if (columns === 2) sum += samples[(x + 1) * channels + channel]!;
    }
    out[to + channel] = Math.floor(sum / count + 0.5);
  }
}

/** @returns whether there is any data */
function weightedMean(
  rows: Rows[],
  x: number,
  columns: number,
  form: PixelForm,
  out: Samples,
  to: number,
): boolean {
  const { channels, alpha, dtype } = form;
  const colours = alpha ? channels - 1 : channels;
  let [total, opacity, pixels] = [0, 0, 0];
  const sums = new Float64Array(colours);
  for (const row of rows) {
    for (let column = x; column < x + columns; column++) {
      const at = column * channels;
      const weight = weightOf(row, column, colours, form);
      pixels++;
      if (alpha) opacity += row.samples[at + colours]!;
      if (weight === 0) continue;
      total += weight;
      for (let band = 0; band < colours; band++) sums[band]! += weight * row.samples[at + band]!;
    }
  }
  const round = dtype.startsWith('float')
    ? (value: number) => value
    : (value: number) => Math.floor(value + 0.5);
  const first = rows[0]!.samples;
  for (let band = 0; band < colours; band++)
    out[to + band] = total === 0 ? first[x * channels + band]! : round(sums[band]! / total);
  if (alpha) out[to + colours] = round(opacity / pixels);
  return total > 0;
}

function weightOf({ samples, mask }: Rows, column: number, colours: number, form: PixelForm): number {
  if (mask !== undefined && mask[column] === 0) return 0;
  const { channels, noData, alpha } = form;
  const at = column * channels;
  let isEmpty = noData !== undefined;
  for (let band = 0; band < colours; band++) {
    const value = samples[at + band]!;
    if (value !== noData) isEmpty = false;
    if (!Number.isFinite(value)) return 0;
  }
  if (isEmpty) return 0;
  return alpha ? samples[at + colours]! : 1;
}
