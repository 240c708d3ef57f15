/**
 * The eight ways to lay a square on itself: turned by 0 to 3 quarters, and mirrored before that. The network is asked
 * for each, the pictures are laid back, and their mean does not prefer a direction.
 */
export const TURNS = 8;

/** Where the pixel of `row` and `column` is taken from. */
function sourceOf(turn: number, row: number, column: number, last: number): number {
  let [y, x] = [row, column];
  for (let quarter = 0; quarter < turn % 4; quarter++) [y, x] = [x, last - y];
  if (turn >= 4) x = last - x;
  return y * (last + 1) + x;
}

/** @param window size x size x 3; @param turn 0 (as it is) to 7 */
export function turned(window: Float32Array, size: number, turn: number): Float32Array {
  const result = new Float32Array(window.length);
  eachPixel(size, turn, (pixel, source) => {
    for (let band = 0; band < 3; band++) result[pixel * 3 + band] = window[source * 3 + band]!;
  });
  return result;
}

/** The inverse of `turned`. */
export function turnedBack(window: Float32Array, size: number, turn: number): Float32Array {
  const result = new Float32Array(window.length);
  eachPixel(size, turn, (pixel, source) => {
    for (let band = 0; band < 3; band++) result[source * 3 + band] = window[pixel * 3 + band]!;
  });
  return result;
}

function eachPixel(size: number, turn: number, visit: (pixel: number, source: number) => void): void {
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++)
      visit(row * size + column, sourceOf(turn, row, column, size - 1));
  }
}
