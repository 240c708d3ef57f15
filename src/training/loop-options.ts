import type { Engine } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import type { Checkpoint } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import type { Dataset } from '../raster/dataset.js';
import type { Store } from '../store/store.js';
import type { LastCheckpoint, StageCheckpoints } from './stage-checkpoints.js';
import type { StageDefinition } from './stages.js';
import type { Settings } from './training-state.js';

/** How far a stage may go, besides what params.yaml says. */
export interface TrainingLimits {
  /** The schedule is this many steps long, in place of epochs x steps_per_epoch. */
  maxSteps?: number | undefined;
  /** The end is brought forward so that the stage takes about this long from now. */
  maxMinutes?: number | undefined;
  /** Train and validate on this many fixed windows only. */
  overfit?: number | undefined;
}

/** What the training of one stage is given. */
export interface LoopOptions {
  definition: StageDefinition;
  params: Params;
  dataset: Dataset;
  engine: Engine;
  /** The earlier stages, which are frozen. */
  checkpoints: Partial<Record<Stage, Checkpoint>>;
  files: StageCheckpoints;
  settings: Settings;
  limits: TrainingLimits;
  /** Where to go on; without it training begins. */
  resumed?: LastCheckpoint;
  /** The command that goes on after a stop, for the hint. */
  resumeCommand: string;
  store: Store;
  run: number;
  /** A clock in milliseconds. */
  now?: () => number;
}
