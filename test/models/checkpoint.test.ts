import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HostTensor, hostTensor } from '../../src/compute/engine.js';
import { HndsrError } from '../../src/errors.js';
import {
  type Checkpoint,
  checkTogether,
  readCheckpoint,
  readModel,
  writeCheckpoint,
} from '../../src/models/checkpoint.js';
import { STAGES, type Stage } from '../../src/models/hndsr.js';
import { encodeSafetensors } from '../../src/models/safetensors.js';
import { normal } from '../compute/compare.js';
import { metadataOf, tinyCheckpoints, tinyParams } from './tiny.js';

const params = tinyParams();
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-checkpoint-'));
  path = join(folder, 'best.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

const tensors: Record<string, HostTensor> = {
  'in.weight': normal([3, 2, 1, 1], 'w'),
  'in.bias': hostTensor([3], [0, -0, Number.MIN_VALUE]),
  empty: hostTensor([0], []),
};
const metadata = metadataOf('autoencoder', params);

async function refusal(reading: Promise<unknown>): Promise<HndsrError> {
  const error = await reading.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HndsrError);
  return error as HndsrError;
}

describe('a checkpoint', () => {
  it('is read as it was written, to the bit', async () => {
    const sha256 = await writeCheckpoint(path, metadata, tensors);
    expect(sha256).toBe(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
    const read = await readCheckpoint(path, 'autoencoder', sha256);
    expect(read).toEqual({ ...metadata, tensors, sha256 });
    for (const [name, { data }] of Object.entries(tensors)) {
      expect(Buffer.from(read.tensors[name]!.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
    }
    expect(await readdir(folder)).toEqual(['best.safetensors']);
  });

  it('has the same bytes when the same is written again', async () => {
    const other = join(folder, 'again.safetensors');
    expect(await writeCheckpoint(path, metadata, tensors)).toBe(
      await writeCheckpoint(other, metadata, tensors),
    );
    expect((await readFile(path)).equals(await readFile(other))).toBe(true);
  });

  it('that is missing is named, with the command that makes it', async () => {
    const error = await refusal(readCheckpoint(path, 'neural-operator'));
    expect(error.code).toBe('CHECKPOINT_MISSING');
    expect(error.message).toContain(path);
    expect(error.hint).toBe('Run `hndsr train --stage neural-operator` first.');
  });

  it('of another stage is refused', async () => {
    await writeCheckpoint(path, metadata, tensors);
    const error = await refusal(readCheckpoint(path, 'diffusion'));
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.message).toBe(`${path} is a checkpoint of autoencoder, not of diffusion`);
  });

  it('that is not the one recorded is refused before it is parsed', async () => {
    await writeFile(path, 'not even a safetensors file');
    const error = await refusal(readCheckpoint(path, 'autoencoder', 'a'.repeat(64)));
    expect(error.code).toBe('HASH_MISMATCH');
    expect(error.message).toContain('a'.repeat(64));
  });

  it('that some other program wrote is refused', async () => {
    await writeFile(path, encodeSafetensors({ tensors, metadata: {} }));
    const error = await refusal(readCheckpoint(path, 'autoencoder'));
    expect(error.code).toBe('CHECKPOINT_INVALID');
    expect(error.message).toBe(`${path} is not an hndsr checkpoint (format hndsr-checkpoint-1)`);
    await writeFile(
      path,
      encodeSafetensors({ tensors, metadata: { format: 'hndsr-checkpoint-1', stage: 'other' } }),
    );
    expect((await refusal(readCheckpoint(path, 'autoencoder'))).message).toContain(
      'its metadata cannot be read',
    );
  });

  it('with any changed byte of its weights is refused', async () => {
    await writeCheckpoint(path, metadata, tensors);
    const bytes = await readFile(path);
    const data = 8 + Number(bytes.readBigUInt64LE());
    for (let at = data; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      await writeFile(path, changed);
      const error = await refusal(readCheckpoint(path, 'autoencoder'));
      expect(error.code).toBe('HASH_MISMATCH');
      expect(error.message).toContain(`${path} was changed`);
      expect(error.hint).toContain('hndsr train --stage autoencoder');
    }
  });

  it('with any changed byte at all is refused, or means the same', async () => {
    await writeCheckpoint(path, metadata, tensors);
    const bytes = await readFile(path);
    const { sha256: _, ...original } = await readCheckpoint(path, 'autoencoder');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0123456789[]{},:" \n'))),
        async (at, byte) => {
          await writeFile(path, bytes.with(at, byte));
          try {
            const { sha256: _, ...read } = await readCheckpoint(path, 'autoencoder');
            expect(read).toEqual(original);
          } catch (error) {
            expect(error).toBeInstanceOf(HndsrError);
            expect(['HASH_MISMATCH', 'CHECKPOINT_INVALID']).toContain((error as HndsrError).code);
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  it('that was cut off anywhere is refused', async () => {
    await writeCheckpoint(path, metadata, tensors);
    const bytes = await readFile(path);
    for (let length = 0; length < bytes.length; length += 7) {
      await writeFile(path, bytes.subarray(0, length));
      expect((await refusal(readCheckpoint(path, 'autoencoder'))).code).toBe('CHECKPOINT_INVALID');
    }
  });
});

describe('the stages of a model', () => {
  const three = (): Record<Stage, Checkpoint> => {
    const made = tinyCheckpoints(params);
    made['neural-operator'].trained_on = { autoencoder: made.autoencoder.sha256 };
    made.diffusion.trained_on = {
      autoencoder: made.autoencoder.sha256,
      'neural-operator': made['neural-operator'].sha256,
    };
    return made;
  };

  it('belong together if each was trained on the ones given', () => {
    checkTogether(three());
    checkTogether({ diffusion: three().diffusion });
    checkTogether({});
  });

  it.each([
    ['autoencoder', 'neural-operator'],
    ['neural-operator', 'diffusion'],
  ] as const)('do not if %s was trained anew after %s', async (changed, later) => {
    const model = three();
    model[changed].sha256 = 'b'.repeat(64);
    const error = await refusal((async () => checkTogether(model))());
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.message).toBe(
      `the ${later} checkpoint was trained on another ${changed} checkpoint than the one given`,
    );
    expect(error.hint).toBe(`Run \`hndsr train --stage ${later}\` again after a change of ${changed}.`);
  });

  it('are read and checked together', async () => {
    const paths = Object.fromEntries(
      STAGES.map((stage) => [stage, { path: join(folder, `${stage}.safetensors`) }]),
    ) as Record<Stage, { path: string; sha256?: string }>;
    const model = three();
    const trainedOn: Checkpoint['trained_on'] = {};
    for (const stage of STAGES) {
      const { tensors } = model[stage];
      const written = { ...metadataOf(stage, params), trained_on: { ...trainedOn } };
      trainedOn[stage] = await writeCheckpoint(paths[stage].path, written, tensors);
      paths[stage].sha256 = trainedOn[stage];
    }
    const read = await readModel(paths);
    expect(STAGES.map((stage) => read[stage].tensors)).toEqual(STAGES.map((stage) => model[stage].tensors));
    // The same weights from another run: a different file.
    const again = { ...metadataOf('autoencoder', params), step: 4 };
    delete paths.autoencoder.sha256;
    await writeCheckpoint(paths.autoencoder.path, again, model.autoencoder.tensors);
    expect((await refusal(readModel(paths))).code).toBe('CHECKPOINT_MISMATCH');
  });
});
