import { LATENT_FACTOR } from './autoencoder.js';
import type { ModelConfig } from './hndsr.js';

/** A 3x3 convolution sees one cell further; a residual block has two of them. */
const IN_AND_OUT = 2;
const PER_BLOCK = 2;

/**
 * How far the operator's answer reaches by its convolutions alone: a pixel depends on no pixel of u further away than
 * this along an axis, in pixels of the target grid. Encoder, operator and decoder lie one behind the other, each with
 * a convolution in and out and two for each block, at the latent grid; cells are LATENT_FACTOR pixels wide.
 */
export function localReach({ autoencoder, neural_operator }: ModelConfig): number {
  const autoencoderCells = IN_AND_OUT + PER_BLOCK * autoencoder.blocks;
  const operatorCells = IN_AND_OUT + PER_BLOCK * neural_operator.blocks;
  const cells = 2 * autoencoderCells + operatorCells;
  return cells * LATENT_FACTOR + (LATENT_FACTOR - 1);
}

/**
 * How far a pixel of the blended picture depends on u, in pixels of the target grid. The spectral part sees the whole
 * window and nothing beyond it, so this is the window's edge less one, whatever the convolutions could reach.
 */
export function receptiveField(size: number): number {
  return size - 1;
}
