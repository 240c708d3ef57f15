import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history } from '../../src/registry/history.js';
import { markBad } from '../../src/registry/marks.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { show } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { addVersion, errorOf, makeProject, paramsOf, promotion } from './project.js';

const who = () => ({ cwd, actor: 'tester', reason: null, params: paramsOf(cwd) });

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('rollback', () => {
  it('brings back the version before, and never one that was rolled back itself', async () => {
    const [first, second, third] = [await addVersion(cwd), await addVersion(cwd), await addVersion(cwd)];
    for (const number of [first, second, third]) await promote(promotion(cwd, number!, 'production'));
    const back = { ...who(), reason: 'seams' };
    expect(await rollback(back)).toMatchObject({ restored: second, rolledBack: third });
    expect(await rollback(back)).toMatchObject({ restored: first, rolledBack: second });
    const error = await errorOf(rollback(back));
    expect(error.code).toBe('VERSION_MISSING');
    expect(show(cwd, 'production').version).toBe(first);
    expect(history(cwd).filter(({ kind }) => kind === 'rolled-back')).toHaveLength(2);
  });

  it('says that nothing is in production', async () => {
    await addVersion(cwd);
    const error = await errorOf(rollback(who()));
    expect(error.message).toBe('no version is in production');
  });

  it('asks the gates again, but for those against the version that is to go', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd, { psnr: 33 })];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'production'));
    const strict = { ...who(), params: paramsOf(cwd, 'registry.gates.production.metrics.psnr={min: 32}') };
    const error = await errorOf(rollback(strict));
    expect([error.code, error.exitCode]).toEqual(['GATE_NOT_MET', 3]);
    expect(error.message).toContain('version 1, which was there before, was not brought back to production');
    expect(error.message).toContain('NOT MET  psnr >= 32: 31.0000');
    expect(show(cwd, 'production').version).toBe(second);
    expect(show(cwd, first).history.at(-1)).toMatchObject({ kind: 'refused', toStage: 'production' });
    // Version 1 is 2 dB worse than the one in production, which is beside the point.
    const { verdicts } = await rollback(who());
    expect(verdicts.map(({ gate }) => gate)).toEqual([
      ...['psnr >= 26', 'ssim >= 0.75', 'lpips <= 0.3', 'psnr > bicubic', 'ssim > bicubic'],
    ]);
    expect(show(cwd, first).history.at(-1)).toMatchObject({
      kind: 'restored',
      gates: verdicts,
      forced: false,
    });
  });

  it('skips them where it is told to, with a reason that the history keeps', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'production'));
    const strict = { ...who(), params: paramsOf(cwd, 'registry.gates.production.metrics.psnr={min: 32}') };
    expect((await errorOf(rollback({ ...strict, skipGates: true }))).code).toBe('USAGE');
    await rollback({ ...strict, skipGates: true, reason: 'production is on fire' });
    expect(show(cwd, first).history.at(-1)).toMatchObject({
      ...{ kind: 'restored', gates: null, forced: true, reason: 'production is on fire' },
    });
  });

  it('never goes to a version that was marked bad', async () => {
    const [first, second, third] = [await addVersion(cwd), await addVersion(cwd), await addVersion(cwd)];
    for (const number of [first, second, third]) await promote(promotion(cwd, number, 'production'));
    markBad({ cwd, version: second, actor: 'tester', reason: 'seams' });
    expect(await rollback(who())).toMatchObject({ restored: first, rolledBack: third });
  });

  it('changes nothing where the files of the version before were damaged', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'production'));
    const stored = objectPath(cwd, show(cwd, first).artifacts[0]!.sha256);
    chmodSync(stored, 0o644);
    writeFileSync(stored, 'damaged');
    const before = history(cwd);
    expect((await errorOf(rollback(who()))).code).toBe('HASH_MISMATCH');
    expect(history(cwd)).toEqual(before);
    expect(show(cwd, 'production').version).toBe(second);
  });
});
