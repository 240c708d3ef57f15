import type { Params } from '../config/params.js';

/**
 * alpha-bar by timestep: the share of the signal's variance that is left after step t of the forward process, for
 * beta rising linearly (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", section 4).
 * `alphaBar[t]`, t from 0 to timesteps - 1, falls from nearly 1 to nearly 0.
 */
export function alphaBars({ timesteps, beta_start, beta_end }: Params['model']['diffusion']): Float64Array {
  const bars = new Float64Array(timesteps);
  let product = 1;
  for (let t = 0; t < timesteps; t++) {
    const share = timesteps === 1 ? 0 : t / (timesteps - 1);
    product *= 1 - (beta_start + share * (beta_end - beta_start));
    bars[t] = product;
  }
  return bars;
}
