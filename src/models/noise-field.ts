import { Random } from '../random.js';
import { LATENT_FACTOR } from './autoencoder.js';

/** Bytes of noise that are kept for the windows to come, which overlap those before. */
const CACHE_BYTES = 2 ** 26;

/** Where a window's noise lies: plain data. */
export interface NoisePlace {
  seed: number;
  /** In pixels of the target grid. */
  left: number;
  top: number;
  /** What else tells the scene's noise from others: a group of bands, a turn. */
  names: readonly (string | number)[];
}

/**
 * Standard normal noise over the latent grid of a scene without end: what it is at a cell depends on the seed and the
 * cell alone. Windows that overlap see the same noise where they do, so that they agree on the detail that the sampler
 * makes of it, and blending them blurs nothing. It is drawn in blocks as large as a window.
 */
export class NoiseField {
  /** A block's draws, the first first; the longest unused block is the first in the map. */
  private readonly blocks = new Map<string, { random: Random; draws: Float32Array[] }>();
  private readonly cells: number;
  private readonly kept: number;

  /** @param size edge of a window in pixels; @param draws most draws that are asked for */
  constructor(
    private readonly size: number,
    private readonly channels: number,
    readonly draws: number,
  ) {
    this.cells = size / LATENT_FACTOR;
    const bytes = this.cells * this.cells * channels * Float32Array.BYTES_PER_ELEMENT * draws;
    this.kept = Math.max(4, Math.floor(CACHE_BYTES / bytes));
  }

  /** Writes the noise of a window, cells x cells x channels. @param draw how many draws came before it */
  fill(target: Float32Array, place: NoisePlace, draw: number): void {
    const { cells, channels } = this;
    const [x, y] = [Math.floor(place.left / LATENT_FACTOR), Math.floor(place.top / LATENT_FACTOR)];
    for (let row = 0; row < cells; row++) {
      const blockY = Math.floor((y + row) / cells);
      for (let column = 0; column < cells; ) {
        const blockX = Math.floor((x + column) / cells);
        const inside = x + column - blockX * cells;
        const count = Math.min(cells - column, cells - inside);
        const block = this.block(place, blockX, blockY, draw);
        const from = ((y + row - blockY * cells) * cells + inside) * channels;
        target.set(block.subarray(from, from + count * channels), (row * cells + column) * channels);
        column += count;
      }
    }
  }

  private block({ seed, names }: NoisePlace, x: number, y: number, draw: number): Float32Array {
    const path = [x * this.size, y * this.size, ...names];
    const key = `${seed}/${path.join('/')}`;
    const block = this.blocks.get(key) ?? { random: Random.from(seed, 'sampling', ...path), draws: [] };
    this.blocks.delete(key);
    this.blocks.set(key, block);
    if (this.blocks.size > this.kept) this.blocks.delete(this.blocks.keys().next().value!);
    while (block.draws.length <= draw) {
      block.draws.push(block.random.fillNormal(new Float32Array(this.cells ** 2 * this.channels)));
    }
    return block.draws[draw]!;
  }
}
