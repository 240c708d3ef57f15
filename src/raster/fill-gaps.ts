/**
 * How far values are continued into pixels without data: beyond what a bicubic kernel and a few convolutions see.
 * Farther away all have the same value.
 */
export const FILL_RADIUS = 8;

/**
 * Gives pixels without data the mean of those of their eight neighbours that have some, ring by ring, so that no edge
 * of data is sharpened into a dark or bright fringe. A pixel's value depends on pixels within FILL_RADIUS alone.
 * @param values interleaved height x width x bands, changed in place
 * @param valid 1 where there is data
 * @param beyond by band, for pixels farther from data
 */
export function fillGaps(
  values: Float32Array,
  valid: Uint8Array,
  width: number,
  bands: number,
  beyond: readonly number[],
): void {
  const height = valid.length / width;
  const known = valid.slice();
  let open = indicesOf(valid);
  for (let ring = 0; ring < FILL_RADIUS && open.length > 0; ring++) {
    const made: number[] = [];
    const left: number[] = [];
    const means: number[] = [];
    for (const pixel of open) {
      const near = neighbours(known, pixel, width, height);
      if (near.length === 0) {
        left.push(pixel);
        continue;
      }
      made.push(pixel);
      for (let band = 0; band < bands; band++) {
        let sum = 0;
        for (const other of near) sum += values[other * bands + band]!;
        means.push(sum / near.length);
      }
    }
    for (const [index, pixel] of made.entries()) {
      for (let band = 0; band < bands; band++) values[pixel * bands + band] = means[index * bands + band]!;
      known[pixel] = 1;
    }
    open = left;
    if (made.length === 0) break;
  }
  for (const pixel of open) {
    for (let band = 0; band < bands; band++) values[pixel * bands + band] = beyond[band]!;
  }
}

function indicesOf(valid: Uint8Array): number[] {
  const open: number[] = [];
  for (let pixel = 0; pixel < valid.length; pixel++) if (valid[pixel] === 0) open.push(pixel);
  return open;
}

function neighbours(known: Uint8Array, pixel: number, width: number, height: number): number[] {
  const [x, y] = [pixel % width, Math.floor(pixel / width)];
  const near: number[] = [];
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
      const other = row * width + column;
      if (known[other] === 1) near.push(other);
    }
  }
  return near;
}
