import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history } from '../../src/registry/history.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { show } from '../../src/registry/versions.js';
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
});
