import { expect, it } from 'vitest';
import { tapsFor } from '../../src/raster/taps.js';

it('keeps the weights of the axes that are in use, however long they are, and not all that there ever were', () => {
  const long = tapsFor(150_000, 600_000);
  for (let round = 0; round < 3; round++) {
    tapsFor(16, 64);
    tapsFor(600_000, 150_000);
    expect(tapsFor(150_000, 600_000) === long).toBe(true);
  }
  for (let size = 10; size < 30; size++) tapsFor(size, 4 * size);
  // Comparing the arrays themselves takes a test runner half a minute.
  expect(tapsFor(150_000, 600_000) === long).toBe(false);
  const last = tapsFor(29, 116);
  expect(tapsFor(29, 116) === last).toBe(true);
});
