import type { Engine, HostTensor } from '../compute/engine.js';
import { sizeOf } from '../compute/engine.js';
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from '../nn/optimiser.js';
import { initialise } from '../nn/parameters.js';
import { Random } from '../random.js';
import { referenceInputs, referenceLoss, referenceSpecs, STEP_GFLOP } from './reference-net.js';
import { type Timing, timed } from './timing.js';

const SEED = 0;
const LEARNING_RATE = 1e-3;
/** Adam alone: nothing decays, nothing is clipped. The moving average of the weights is kept, as in any training. */
const OPTIMISER = { weightDecay: 0, gradientClip: Number.MAX_VALUE, emaDecay: 0.99 };

/** Times whole training steps of the reference net: forward, gradients and optimiser, batch in, loss out. */
export async function timeTrainStep(engine: Engine, steps: number): Promise<Timing> {
  const program = await engine.compile(trainingStep(referenceSpecs, referenceLoss, OPTIMISER), {
    inputs: { ...referenceInputs, ...STEP_INPUTS },
    state: optimiserState(referenceSpecs, initialise(referenceSpecs, SEED, 'bench')),
  });
  const random = Random.from(SEED, 'bench');
  const batch: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(referenceInputs).map(([name, shape]) => [
      name,
      { shape, data: random.fillNormal(new Float32Array(sizeOf(shape))) },
    ]),
  );
  let step = 0;
  const timing = await timed(steps, STEP_GFLOP, () =>
    program.run({ ...batch, ...stepScalars(++step, LEARNING_RATE) }),
  );
  await program.dispose();
  return timing;
}
