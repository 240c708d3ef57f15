import { createHash } from 'node:crypto';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/**
 * The project's one source of randomness. A generator is named by a seed and a path of names (for example
 * `7, 'training', 'diffusion', 'noise'`), so that each use has its own sequence, and adding one moves no other.
 * Nothing here depends on the machine or the engine: one seed gives the same numbers everywhere.
 */
export class Random {
  private constructor(private readonly generator: RandomGenerator) {}

  /** @param seed whole number; @param names what the numbers are for */
  static from(seed: number, ...names: (string | number)[]): Random {
    const digest = createHash('sha256')
      .update(JSON.stringify([seed, ...names]))
      .digest();
    const state = [0, 4, 8, 12].map((offset) => digest.readInt32LE(offset));
    return new Random(xoroshiro128plusFromState(state));
  }

  /** Continues where a generator whose `state()` was stored had stopped. */
  static fromState(state: readonly number[]): Random {
    return new Random(xoroshiro128plusFromState([...state]));
  }

  state(): readonly number[] {
    return this.generator.getState();
  }

  /** Uniform in [0, 1), 32 bits. */
  uniform(): number {
    return (this.generator.next() >>> 0) / 0x100000000;
  }

  /** Uniform whole number in [0, count). */
  integer(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  /** Standard normal numbers by the Box-Muller transform (Box and Muller 1958), written into `target`. */
  fillNormal(target: Float32Array): Float32Array {
    for (let index = 0; index < target.length; index += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      const angle = 2 * Math.PI * this.uniform();
      target[index] = radius * Math.cos(angle);
      if (index + 1 < target.length) target[index + 1] = radius * Math.sin(angle);
    }
    return target;
  }
}

/** A number in [0, 1) that depends on the seed and the names alone: for decisions that later additions must not move. */
export function stableFraction(seed: number, ...names: (string | number)[]): number {
  return Random.from(seed, ...names).uniform();
}
