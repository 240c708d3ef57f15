import type { Samples } from '../samples.js';

/** As of the tag Predictor: each sample as its difference to the one before, and the same for the bytes of fractions. */
export const PREDICTOR = { none: 1, horizontal: 2, floating: 3 } as const;

/** @param rowLength samples of a row; @param stride samples to the same band of the pixel before */
export function undoHorizontal(samples: Samples, rowLength: number, stride: number): void {
  if (samples.BYTES_PER_ELEMENT === 8) {
    undoHorizontal64(samples, rowLength, stride);
    return;
  }
  const values = integers(samples);
  for (let row = 0; row < values.length; row += rowLength) {
    for (let index = row + stride; index < row + rowLength; index++)
      values[index] = values[index]! + values[index - stride]!;
  }
}

function undoHorizontal64({ buffer }: Samples, rowLength: number, stride: number): void {
  const values = new BigUint64Array(buffer as ArrayBuffer);
  for (let row = 0; row < values.length; row += rowLength) {
    for (let index = row + stride; index < row + rowLength; index++)
      values[index]! += values[index - stride]!;
  }
}

/** Of whole numbers. */
export function applyHorizontal(samples: Samples, rowLength: number, stride: number): void {
  for (let row = 0; row < samples.length; row += rowLength) {
    for (let index = row + rowLength - 1; index >= row + stride; index--)
      samples[index] = samples[index]! - samples[index - stride]!;
  }
}

/**
 * Adobe's floating-point predictor (TIFF Technical Note 3): of each row first the highest bytes of all samples, then
 * the next ones and so on, as differences.
 * @param bytes of rows, changed in place to samples in this machine's order
 * @param size bytes of a sample
 */
export function undoFloating(bytes: Uint8Array, rowLength: number, stride: number, size: number): void {
  const rowBytes = rowLength * size;
  const planes = new Uint8Array(rowBytes);
  for (let row = 0; row + rowBytes <= bytes.length; row += rowBytes) {
    planes.set(bytes.subarray(row, row + rowBytes));
    for (let index = stride; index < rowBytes; index++) planes[index]! += planes[index - stride]!;
    for (let sample = 0; sample < rowLength; sample++) {
      for (let byte = 0; byte < size; byte++)
        bytes[row + sample * size + byte] = planes[(size - 1 - byte) * rowLength + sample]!;
    }
  }
}

export function applyFloating(bytes: Uint8Array, rowLength: number, stride: number, size: number): void {
  const rowBytes = rowLength * size;
  const planes = new Uint8Array(rowBytes);
  for (let row = 0; row < bytes.length; row += rowBytes) {
    for (let sample = 0; sample < rowLength; sample++) {
      for (let byte = 0; byte < size; byte++)
        planes[(size - 1 - byte) * rowLength + sample] = bytes[row + sample * size + byte]!;
    }
    for (let index = rowBytes - 1; index >= stride; index--) planes[index]! -= planes[index - stride]!;
    bytes.set(planes, row);
  }
}

/** Differences of fractions are taken of their bits. */
function integers(values: Samples): Samples {
  return values instanceof Float32Array ? new Uint32Array(values.buffer) : values;
}
