import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkWritable, removeStaleBeside, writeAtomic } from '../atomic.js';
import type { HostTensor } from '../compute/engine.js';
import { HndsrError } from '../errors.js';
import {
  type Checkpoint,
  type CheckpointMetadata,
  encodeCheckpoint,
  readCheckpoint,
} from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { readState, type TrainingState } from './training-state.js';

/** In last.safetensors, what going on needs besides the averaged weights. */
const TRAINING_PREFIX = 'training/';

export interface WrittenCheckpoint {
  kind: 'best' | 'last';
  path: string;
  sha256: string;
  step: number;
}

export interface LastCheckpoint {
  checkpoint: Checkpoint;
  state: TrainingState;
}

/**
 * The two files of a stage: best.safetensors, the averaged weights of the best epoch, and last.safetensors, from which
 * training goes on. At the end of a best epoch `last` is written first and names the hash of `best`, which is a part of
 * it: whenever the process is killed between the two, `mendBest` makes the second from the first.
 */
export class StageCheckpoints {
  readonly bestPath: string;
  readonly lastPath: string;

  constructor(
    readonly folder: string,
    private readonly stage: Stage,
  ) {
    this.bestPath = join(folder, 'best.safetensors');
    this.lastPath = join(folder, 'last.safetensors');
  }

  /**
   * Removes what killed processes left, and finds out before the first step whether checkpoints can be written.
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE
   */
  async prepare(): Promise<void> {
    await removeStaleBeside(this.bestPath);
    await removeStaleBeside(this.lastPath);
    await checkWritable(this.bestPath);
  }

  /**
   * @returns undefined if nothing was ever written
   * @throws HndsrError CHECKPOINT_INVALID, HASH_MISMATCH
   */
  async readLast(): Promise<LastCheckpoint | undefined> {
    const there = await stat(this.lastPath).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (there === undefined) return undefined;
    const checkpoint = await readCheckpoint(this.lastPath, this.stage);
    return { checkpoint, state: readState(checkpoint, this.lastPath) };
  }

  /**
   * @param tensors the averaged weights with their statistics
   * @param training the weights as they are and the optimiser's moments
   */
  async writeLast(
    metadata: CheckpointMetadata,
    tensors: Record<string, HostTensor>,
    training: Record<string, HostTensor>,
    state: TrainingState,
  ): Promise<WrittenCheckpoint> {
    const prefixed = Object.entries(training).map(([name, one]) => [TRAINING_PREFIX + name, one] as const);
    const { bytes, sha256 } = encodeCheckpoint(
      { ...metadata, training_state: state },
      { ...tensors, ...Object.fromEntries(prefixed) },
    );
    await writeAtomic(this.lastPath, bytes);
    return { kind: 'last', path: this.lastPath, sha256, step: state.step };
  }

  /** Writes a last.safetensors again, with the same tensors and another state. */
  async rewriteLast(
    { tensors, sha256: _, ...metadata }: Checkpoint,
    state: TrainingState,
  ): Promise<WrittenCheckpoint> {
    const { bytes, sha256 } = encodeCheckpoint({ ...metadata, training_state: state }, tensors);
    await writeAtomic(this.lastPath, bytes);
    return { kind: 'last', path: this.lastPath, sha256, step: state.step };
  }

  async writeBest({ bytes, sha256 }: EncodedCheckpoint, step: number): Promise<WrittenCheckpoint> {
    await writeAtomic(this.bestPath, bytes);
    return { kind: 'best', path: this.bestPath, sha256, step };
  }

  /**
   * Writes best.safetensors again if a kill came between it and the last.safetensors that names it.
   * @throws HndsrError CHECKPOINT_MISMATCH if the one there belongs to another training
   */
  async mendBest({ checkpoint, state: { best, step } }: LastCheckpoint): Promise<void> {
    if (best === null || (await sha256Of(this.bestPath)) === best.sha256) return;
    const rebuilt = bestOf(checkpoint);
    if (best.step === step && rebuilt.sha256 === best.sha256) {
      await this.writeBest(rebuilt, step);
      return;
    }
    throw new HndsrError(
      'CHECKPOINT_MISMATCH',
      `${this.bestPath} is not the one of the training that ${this.lastPath} belongs to`,
      { hint: `Restore it, or begin anew: \`hndsr train --stage ${this.stage}\` without --resume.` },
    );
  }
}

export type EncodedCheckpoint = ReturnType<typeof encodeCheckpoint>;

/** The tensors of a last.safetensors that training goes on with, without their prefix. */
export function trainingTensors({ tensors }: Checkpoint): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(TRAINING_PREFIX))
      .map(([name, tensor]) => [name.slice(TRAINING_PREFIX.length), tensor]),
  );
}

/** The best.safetensors that a last.safetensors of the same step has in it. */
function bestOf({ tensors, sha256: _, training_state: __, ...metadata }: Checkpoint): EncodedCheckpoint {
  const weights = Object.entries(tensors).filter(([name]) => !name.startsWith(TRAINING_PREFIX));
  return encodeCheckpoint(metadata, Object.fromEntries(weights));
}

async function sha256Of(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return bytes && createHash('sha256').update(bytes).digest('hex');
}
