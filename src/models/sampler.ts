/**
 * Deterministic to stochastic sampling of a diffusion model over a strided schedule (Song et al. 2021, "Denoising
 * Diffusion Implicit Models", equations 12 and 16). Every step goes to the next *scheduled* time, and the last one
 * to the clean signal: a predictor that knows the noise gives the signal back exactly, for any steps and strength.
 */

export interface SamplingOptions {
  /** How many times the network is asked; at least 1. */
  steps: number;
  /** Where the reverse process starts: 0 not at all (the operator's answer), 1 from pure noise. */
  strength: number;
  /** 0 is deterministic; 1 adds as much noise as the forward process took away. */
  eta: number;
}

/** One step: x_next = signal * x_t + direction * eps + noise * n, with n standard normal. */
export interface SamplerStep {
  /** The time that the network is told. */
  timestep: number;
  signal: number;
  direction: number;
  noise: number;
}

/**
 * The times at which the network is asked, falling; empty at strength 0. They divide [0, strength * T) evenly and
 * begin at its end ("trailing" spacing, Lin et al. 2024, table 2). Fewer than `steps` where there are fewer times.
 */
export function scheduledTimesteps(timesteps: number, { steps, strength }: SamplingOptions): number[] {
  const span = Math.round(strength * timesteps);
  const count = Math.min(steps, span);
  return Array.from({ length: count }, (_, index) => Math.round((span * (count - index)) / count) - 1);
}

/** @param alphaBar as alphaBars gives it */
export function samplerSteps(alphaBar: Float64Array, options: SamplingOptions): SamplerStep[] {
  const times = scheduledTimesteps(alphaBar.length, options);
  return times.map((timestep, index) => {
    const now = alphaBar[timestep]!;
    const following = times[index + 1];
    const next = following === undefined ? 1 : alphaBar[following]!;
    const noise = options.eta * Math.sqrt(((1 - next) / (1 - now)) * (1 - now / next));
    const signal = Math.sqrt(next / now);
    const direction = Math.sqrt(Math.max(0, 1 - next - noise * noise)) - signal * Math.sqrt(1 - now);
    return { timestep, signal, direction, noise };
  });
}

/** How much of the signal and of standard normal noise makes the value that the first step starts from. */
export function startingMix(
  alphaBar: Float64Array,
  options: SamplingOptions,
): { signal: number; noise: number } {
  const first = scheduledTimesteps(alphaBar.length, options)[0];
  if (first === undefined) return { signal: 1, noise: 0 };
  return { signal: Math.sqrt(alphaBar[first]!), noise: Math.sqrt(1 - alphaBar[first]!) };
}
