import { copyFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HndsrEvent } from '../../src/events.js';
import { readCheckpoint } from '../../src/models/checkpoint.js';
import { STAGES, type Stage } from '../../src/models/hndsr.js';
import { getRun, latestRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { newProject, quickParams } from './project.js';
import { afterStep, attempt, digests, interferedEngine, loop, type Stop } from './runs.js';

const params = quickParams('training.checkpoint_steps=2');
const folders: string[] = [];
/** A project whose stages have all been trained without a stop. */
let whole: string;
let expected: Record<string, string>;
let reports: HndsrEvent[];

/** What was reported at the end of each epoch of a stage, but for how long it took. */
const reportsOf = (stage: Stage, events: HndsrEvent[]): HndsrEvent[] =>
  events.flatMap((event) =>
    event.kind === 'training-epoch' && event.stage === stage ? [{ ...event, seconds: 0 }] : [],
  );

beforeAll(async () => {
  whole = await newProject();
  folders.push(whole);
  const { error, events } = await attempt({ cwd: whole, params, stages: [...STAGES] });
  expect(error).toBeUndefined();
  reports = events;
  expected = digests(whole, STAGES);
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** A project with the checkpoints of the stages before `stage`. */
async function projectBefore(stage: Stage): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'hndsr-resume-'));
  folders.push(cwd);
  await cp(join(whole, 'data'), join(cwd, 'data'), { recursive: true });
  for (const earlier of STAGES.slice(0, STAGES.indexOf(stage))) {
    await cp(join(whole, 'checkpoints', earlier), join(cwd, 'checkpoints', earlier), { recursive: true });
  }
  return cwd;
}

const last = (cwd: string, stage: Stage): string => join(cwd, 'checkpoints', stage, 'last.safetensors');
const best = (cwd: string, stage: Stage): string => join(cwd, 'checkpoints', stage, 'best.safetensors');
const ofStage = (stage: Stage): Record<string, string> =>
  Object.fromEntries(Object.entries(expected).filter(([name]) => name.includes(`/${stage}/`)));

describe.each(STAGES)('a training of %s', (stage) => {
  it.each([1, 2, 3, 5])('stopped at step %d and resumed ends with the same bytes', async (step) => {
    const cwd = await projectBefore(stage);
    const stopped = await attempt({ cwd, params, stages: [stage] }, afterStep(step));
    expect(stopped.error).toMatchObject({
      code: 'INTERRUPTED',
      message: `training ${stage} at step ${step} of 6 was interrupted`,
      hint: `Its state is kept: go on with \`hndsr train --stage ${stage} --resume\`.`,
    });
    expect((await readCheckpoint(last(cwd, stage), stage)).step).toBe(step);
    const { trained, texts, error, events } = await attempt({ cwd, params, stages: [stage], resume: true });
    expect(error).toBeUndefined();
    expect([...reportsOf(stage, stopped.events), ...reportsOf(stage, events)]).toEqual(
      reportsOf(stage, reports),
    );
    expect(texts).toContain(`resuming ${stage} at step ${step} of 6`);
    expect(trained[0]).toMatchObject({ resumedAt: step, steps: 6 });
    const store = openStore(cwd);
    const run = getRun(store, trained[0]!.run!)!;
    expect(run).toMatchObject({ resumedFrom: run.id - 1, firstStep: step + 1 });
    expect(getRun(store, run.id - 1)).toMatchObject({ stage, status: 'interrupted' });
    store.close();
    expect(digests(cwd, [stage])).toEqual(ofStage(stage));
  });

  it('stopped after every single step ends with the same bytes', async () => {
    const cwd = await projectBefore(stage);
    const once: Stop = (events) => events.some(({ kind }) => kind === 'progress');
    let steps = 0;
    for (; (await attempt({ cwd, params, stages: [stage], resume: true }, once)).error; steps++);
    expect(steps).toBe(6);
    expect(digests(cwd, [stage])).toEqual(ofStage(stage));
  });
});

it('any stops whatever leave the same bytes, also with micro-batches, a patience and an early end', async () => {
  const cwd = await projectBefore('autoencoder');
  const long = quickParams(
    'training.checkpoint_steps=3',
    'training.batch=4',
    'training.micro_batch=2',
    'training.autoencoder.epochs=6',
    'training.autoencoder.patience=1',
    'training.autoencoder.anneal_steps=4',
    // So fast that epochs are worse than those before them.
    'training.autoencoder.learning_rate=0.3',
  );
  const options = { cwd, params: long, stages: ['autoencoder' as const] };
  const { texts } = await attempt(options);
  expect(texts.at(-1)).toMatch(
    /^training autoencoder: none of the last 1 epochs was better; the learning rate falls to zero by step \d+$/,
  );
  const uninterrupted = digests(cwd, ['autoencoder']);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }), async (stops) => {
      await rm(join(cwd, 'checkpoints'), { recursive: true });
      for (const steps of stops) {
        const enough: Stop = (events) => events.filter(({ kind }) => kind === 'progress').length >= steps;
        await attempt({ ...options, resume: true }, enough);
      }
      expect((await attempt({ ...options, resume: true })).error).toBeUndefined();
      expect(digests(cwd, ['autoencoder'])).toEqual(uninterrupted);
    }),
    { numRuns: 4 },
  );
});

describe('--resume', () => {
  it('with nothing to resume begins, and says so', async () => {
    const cwd = await projectBefore('autoencoder');
    const { texts, trained } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect(texts).toContain('nothing of autoencoder to resume: it is trained from the beginning');
    expect(trained[0]).toMatchObject({ resumedAt: null, steps: 6 });
    expect(digests(cwd, ['autoencoder'])).toEqual(ofStage('autoencoder'));
  });

  it('of a finished stage does nothing, and says so', async () => {
    const cwd = await projectBefore('diffusion');
    const { texts, trained } = await attempt({ cwd, params, stages: ['neural-operator'], resume: true });
    expect(texts).toContain('neural-operator is finished, at step 6');
    const reread = await readCheckpoint(best(cwd, 'neural-operator'), 'neural-operator');
    expect(trained).toMatchObject([
      { run: null, resumedAt: 6, steps: 6, sha256: reread.sha256, validation: reread.metrics },
    ]);
    expect(digests(cwd, ['neural-operator'])).toEqual(ofStage('neural-operator'));
    const store = openStore(cwd);
    expect(latestRun(store, 'neural-operator')).toBeUndefined();
    store.close();
  });

  it('of all stages goes on at the one that was stopped', async () => {
    const cwd = await projectBefore('autoencoder');
    const inOperator: Stop = (events) =>
      events.some(
        (event) => event.kind === 'progress' && event.task.endsWith('neural-operator') && event.done === 2,
      );
    const stopped = await attempt({ cwd, params, stages: [...STAGES] }, inOperator);
    expect(stopped.error?.hint).toContain('`hndsr train --stage all --resume`');
    const { trained } = await attempt({ cwd, params, stages: [...STAGES], resume: true });
    expect(trained.map(({ stage, resumedAt }) => [stage, resumedAt])).toEqual([
      ['autoencoder', 6],
      ['neural-operator', 2],
      ['diffusion', null],
    ]);
    expect(trained[0]!.run).toBeNull();
    expect(digests(cwd, STAGES)).toEqual(expected);
  });

  it('of all stages begins those anew whose ground was trained in the same command', async () => {
    const cwd = await projectBefore('neural-operator');
    await cp(join(whole, 'checkpoints'), join(cwd, 'checkpoints'), { recursive: true });
    const other = quickParams('seed=9');
    await attempt({ cwd, params: other, stages: ['autoencoder'] }, afterStep(1));
    const { texts, trained, error } = await attempt({
      cwd,
      params: other,
      stages: ['autoencoder', 'neural-operator'],
      resume: true,
    });
    expect(error).toBeUndefined();
    expect(trained.map(({ resumedAt }) => resumedAt)).toEqual([1, null]);
    expect(texts).toContainEqual(
      expect.stringMatching(
        /^neural-operator is trained from the beginning: .*checkpoint of autoencoder was/,
      ),
    );
  });

  it.each([
    ['seed=9', 'seed was 4 and is 9 now'],
    ['training.batch=4', 'training.batch was 2 and is 4 now'],
    ['training.micro_batch=1', 'training.micro_batch was null and is 1 now'],
    ['training.crop=24', 'training.crop was 16 and is 24 now'],
    [
      'training.autoencoder.learning_rate=0.5',
      'training.autoencoder.learning_rate was 0.0015 and is 0.5 now',
    ],
    ['training.autoencoder.epochs=3', 'training.autoencoder.epochs was 2 and is 3 now'],
    ['training.autoencoder.patience=3', 'training.autoencoder.patience was null and is 3 now'],
    ['model.autoencoder.width=4', 'model.autoencoder.width was 8 and is 4 now'],
  ])('is refused after a change: %s', async (override, change) => {
    const cwd = await projectBefore('neural-operator');
    const changed = quickParams('training.checkpoint_steps=2', override);
    const { error } = await attempt({ cwd, params: changed, stages: ['autoencoder'], resume: true });
    expect(error).toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: `${last(cwd, 'autoencoder')} cannot be resumed: ${change}`,
      hint: 'Restore what was changed, or begin anew: `hndsr train --stage autoencoder` without --resume.',
    });
    expect(digests(cwd, ['autoencoder'])).toEqual(ofStage('autoencoder'));
  });

  it('is refused on another dataset, other earlier checkpoints and another --max-steps, all named at once', async () => {
    const cwd = await projectBefore('diffusion');
    const other = await newProject({ splits: ['train', 'validation'] });
    folders.push(other);
    await rm(join(cwd, 'data'), { recursive: true });
    await cp(join(other, 'data'), join(cwd, 'data'), { recursive: true });
    await rm(join(cwd, 'checkpoints', 'autoencoder'), { recursive: true });
    await attempt({ cwd, params, stages: ['autoencoder'] });
    const { error } = await attempt({
      cwd,
      params,
      stages: ['neural-operator'],
      resume: true,
      limits: { maxSteps: 5 },
    });
    expect(error?.code).toBe('CHECKPOINT_MISMATCH');
    for (const part of [
      'dataset fingerprint was',
      'checkpoint of autoencoder was',
      '--max-steps was 6 and is 5',
    ]) {
      expect(error?.message).toContain(part);
    }
  });

  it('takes what cannot change the result: how often checkpoints are written, sizes of later stages', async () => {
    const cwd = await projectBefore('autoencoder');
    await attempt({ cwd, params, stages: ['autoencoder'] }, afterStep(3));
    const changed = quickParams(
      'training.checkpoint_steps=7',
      'training.cache_bytes=1',
      'training.diffusion.epochs=9',
    );
    const { error } = await attempt({ cwd, params: changed, stages: ['autoencoder'], resume: true });
    expect(error).toBeUndefined();
    expect(digests(cwd, ['autoencoder'])).toEqual(ofStage('autoencoder'));
  });

  it('is refused from a file that does not say where training stopped', async () => {
    const cwd = await projectBefore('neural-operator');
    await copyFile(best(cwd, 'autoencoder'), last(cwd, 'autoencoder'));
    const { error } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect(error).toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: `${last(cwd, 'autoencoder')} does not say where its training stopped`,
    });
  });

  it('on another device warns that the bytes will be others, and goes on', async () => {
    const cwd = await projectBefore('autoencoder');
    const engine = { ...interferedEngine({}), device: 'webgpu' };
    await loop(cwd, 'autoencoder', params, engine, {}, afterStep(2));
    const { trained, events } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect(trained[0]).toMatchObject({ resumedAt: 2, steps: 6 });
    expect(events).toContainEqual({
      kind: 'message',
      level: 'warning',
      text: expect.stringMatching(
        /^this training was begun with \w+ on webgpu and goes on with \w+ on cpu: it will not end with the same bytes/,
      ),
    });
  });

  it('without it a training begins again', async () => {
    const cwd = await projectBefore('autoencoder');
    await attempt({ cwd, params, stages: ['autoencoder'] }, afterStep(4));
    const { trained } = await attempt({ cwd, params, stages: ['autoencoder'] });
    expect(trained[0]).toMatchObject({ resumedAt: null, steps: 6 });
    expect(digests(cwd, ['autoencoder'])).toEqual(ofStage('autoencoder'));
  });
});

describe('a kill between the two files of an epoch', () => {
  it('is mended: best.safetensors is made from the last.safetensors that names it', async () => {
    const cwd = await projectBefore('neural-operator');
    const before = await readFile(best(cwd, 'autoencoder'));
    const isLast = (await readCheckpoint(best(cwd, 'autoencoder'), 'autoencoder')).step === 6;
    expect(isLast, 'the last epoch is the best one here').toBe(true);
    for (const left of [undefined, Buffer.from('of an older training')]) {
      await rm(best(cwd, 'autoencoder'));
      if (left !== undefined) await writeFile(best(cwd, 'autoencoder'), left);
      await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
      expect(await readFile(best(cwd, 'autoencoder'))).toEqual(before);
    }
  });

  it('is told from a best.safetensors that someone exchanged', async () => {
    const cwd = await projectBefore('autoencoder');
    await attempt({ cwd, params, stages: ['autoencoder'] }, afterStep(5));
    await writeFile(best(cwd, 'autoencoder'), 'something else');
    const { error } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect(error).toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: `${best(cwd, 'autoencoder')} is not the one of the training that ${last(cwd, 'autoencoder')} belongs to`,
    });
  });

  it('and its temporary files are removed by the next training', async () => {
    const cwd = await projectBefore('autoencoder');
    await attempt({ cwd, params, stages: ['autoencoder'] }, afterStep(2));
    const folder = join(cwd, 'checkpoints', 'autoencoder');
    // Process numbers end below this on every system that hndsr runs on.
    const [stale, live] = [4194305, process.pid].map((pid) => `last.safetensors.${pid}.0123abcd.tmp`);
    for (const name of [stale!, live!]) await writeFile(join(folder, name), 'half');
    await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect((await readdir(folder)).sort()).toEqual(['best.safetensors', 'last.safetensors', live]);
  });
});
