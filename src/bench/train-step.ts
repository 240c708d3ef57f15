import { cpus } from 'node:os';
import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { sizeOf } from '../compute/engine.js';
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from '../nn/optimiser.js';
import { initialise } from '../nn/parameters.js';
import { Random } from '../random.js';
import { referenceInputs, referenceLoss, referenceSpecs, STEP_GFLOP } from './reference-net.js';
import { type Timing, timed } from './timing.js';

const SEED = 0;
const LEARNING_RATE = 1e-3;

/** The reference net's training step, compiled: Adam on all weights, as `hndsr train` does it. */
export async function compileTrainStep(engine: Engine): Promise<Program> {
  return engine.compile(
    trainingStep(referenceSpecs, referenceLoss, { weightDecay: 0, gradientClip: 1e9, emaDecay: 0.99 }),
    {
      inputs: { ...referenceInputs, ...STEP_INPUTS },
      state: optimiserState(referenceSpecs, initialise(referenceSpecs, SEED, 'bench')),
    },
  );
}
export async function timeTrainStep(engine: Engine, steps: number): Promise<Timing> {
  const program = await compileTrainStep(engine);
  const random = Random.from(SEED, 'bench');
  const feeds: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(referenceInputs).map(([name, shape]) => [
      name,
      { shape, data: random.fillNormal(new Float32Array(sizeOf(shape))) },
    ]),
  );
  let step = 0;
  const t = await timed(steps, async () => {
    step++;
    const r = await program.run({ ...feeds, ...stepScalars(step, LEARNING_RATE) });
    if (process.env.DBG) console.log(r.loss!.data[0]);
  });
  return t;
}
void cpus;
void STEP_GFLOP;
