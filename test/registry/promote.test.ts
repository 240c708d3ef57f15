import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history } from '../../src/registry/history.js';
import { markBad } from '../../src/registry/marks.js';
import { promote } from '../../src/registry/promote.js';
import { verify } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { addVersion, errorOf, makeProject, promotion } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('promote', () => {
  it('walks every stage to the target and archives the version that was there', async () => {
    const first = await addVersion(cwd);
    expect(await promote(promotion(cwd, first, 'production'))).toMatchObject({ from: 'dev', replaced: null });
    const second = await addVersion(cwd);
    expect(await promote(promotion(cwd, second, 'production'))).toMatchObject({ replaced: first });
    expect(list(cwd).map(({ version, stage }) => [version, stage])).toEqual([
      [second, 'production'],
      [first, 'archived'],
    ]);
    const walked = show(cwd, second).history.map(({ kind, toStage }) => `${kind} ${toStage}`);
    expect(walked).toEqual(['registered dev', 'promoted staging', 'promoted canary', 'promoted production']);
  });

  it.each([
    ['psnr >= 26', { psnr: 25.9 }],
    ['ssim >= 0.75', { ssim: 0.7 }],
    ['lpips <= 0.3', { lpips: 0.31 }],
    ['psnr > bicubic', { psnr: 29.9 }],
    ['ssim > bicubic', { ssim: 0.79 }],
  ])('refuses where the gate %s is not met, moves nothing and remembers it', async (gate, measured) => {
    const number = await addVersion(cwd, measured);
    const error = await errorOf(promote(promotion(cwd, number, 'production')));
    expect(error.code).toBe('GATE_NOT_MET');
    expect(error.exitCode).toBe(3);
    expect(error.message).toMatch(new RegExp(`NOT MET {2}${gate}`));
    const { stage, history: events } = show(cwd, number);
    expect(stage).toBe('dev');
    expect(events.at(-1)).toMatchObject({ kind: 'refused', fromStage: 'dev', toStage: 'production' });
  });

  it('lets an optional metric be unmeasured and says so, and fails one that is not optional', async () => {
    const number = await addVersion(cwd, { lpips: null });
    const { verdicts } = await promote(promotion(cwd, number, 'production'));
    expect(verdicts.find(({ gate }) => gate.startsWith('lpips'))).toMatchObject({
      passed: true,
      note: 'not measured; optional',
    });
    const strict = await addVersion(cwd, { lpips: null });
    const options = promotion(cwd, strict, 'production');
    options.params.registry.gates.production!.metrics.lpips!.optional = false;
    expect((await errorOf(promote(options))).message).toContain('lpips <= 0.3 (not measured)');
  });

  it('judges only, with `dry`: no move, no event', async () => {
    const first = await addVersion(cwd);
    await promote(promotion(cwd, first, 'production'));
    const good = await addVersion(cwd);
    const weak = await addVersion(cwd, { psnr: 20 });
    const before = [list(cwd), history(cwd)];
    const judged = await promote({ ...promotion(cwd, good, 'production'), dry: true });
    expect(judged).toMatchObject({ from: 'dev', to: 'production', replaced: first });
    const error = await errorOf(promote({ ...promotion(cwd, weak, 'production'), dry: true }));
    expect(error.code).toBe('GATE_NOT_MET');
    expect(error.message).toContain('would not be promoted');
    expect([list(cwd), history(cwd)]).toEqual(before);
  });

  it('does nothing to a version that is there already, and does not go back', async () => {
    const number = await addVersion(cwd);
    await promote(promotion(cwd, number, 'production'));
    expect(await promote(promotion(cwd, number, 'production'))).toMatchObject({
      from: 'production',
      to: 'production',
    });
    const error = await errorOf(promote(promotion(cwd, number, 'staging')));
    expect(error.code).toBe('PROMOTION_NOT_ALLOWED');
    expect(error.hint).toContain('rollback');
  });

  it('refuses a version whose stored bytes were changed, naming the file', async () => {
    const number = await addVersion(cwd);
    const { sha256 } = show(cwd, number).artifacts[0]!;
    chmodSync(objectPath(cwd, sha256), 0o644);
    writeFileSync(objectPath(cwd, sha256), 'changed');
    const error = await errorOf(promote(promotion(cwd, number, 'production')));
    expect(error.code).toBe('HASH_MISMATCH');
    expect(error.message).toContain(objectPath(cwd, sha256));
    await expect(verify(cwd, number)).rejects.toThrow(/was changed/);
  });

  it('goes on by force with a reason, which shows in the history for ever', async () => {
    const number = await addVersion(cwd, { psnr: 20 });
    const unexplained = await errorOf(promote({ ...promotion(cwd, number, 'production'), force: true }));
    expect([unexplained.code, unexplained.message]).toEqual([
      'USAGE',
      '--force needs --reason: the history keeps why',
    ]);
    const forced = { ...promotion(cwd, number, 'production'), force: true, reason: 'the only one there is' };
    expect(await promote(forced)).toMatchObject({ forced: true, to: 'production' });
    const event = show(cwd, number).history.at(-1)!;
    expect(event).toMatchObject({ kind: 'promoted', forced: true, reason: 'the only one there is' });
    expect(event.gates).toContainEqual({ gate: 'psnr >= 26', value: 20, passed: false });
  });

  it('is by force only where a gate was not met', async () => {
    const number = await addVersion(cwd);
    const forced = { ...promotion(cwd, number, 'production'), force: true, reason: 'to be sure' };
    expect(await promote(forced)).toMatchObject({ forced: false });
    expect(show(cwd, number).history.map(({ forced: by }) => by)).toEqual([false, false, false, false]);
  });

  it('refuses a version that was marked bad, but for --force and into the last stage', async () => {
    const number = await addVersion(cwd);
    markBad({ cwd, version: number, actor: 'tester', reason: 'seams on snow' });
    const error = await errorOf(promote(promotion(cwd, number, 'canary')));
    expect(error.message.split('\n').slice(1)).toEqual(['  NOT MET  not marked bad (seams on snow)']);
    const forced = { ...promotion(cwd, number, 'staging'), force: true, reason: 'to look at it' };
    expect(await promote(forced)).toMatchObject({ to: 'staging', forced: true });
    expect(await promote(promotion(cwd, number, 'archived'))).toMatchObject({ forced: false });
  });
});
