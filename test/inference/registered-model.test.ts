import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registeredModel } from '../../src/inference/registered-model.js';
import { setVersionAlias } from '../../src/registry/marks.js';
import { promote } from '../../src/registry/promote.js';
import { errorOf, makeProject, paramsOf, promotion } from '../registry/project.js';
import { addUsableVersion } from '../registry/usable-model.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('the model of a version', () => {
  it('is found by number, alias and `latest`, and is that in production where none is named', async () => {
    const params = paramsOf(cwd);
    const [first, second] = [await addUsableVersion(cwd), await addUsableVersion(cwd, { seed: 2 })];
    const nothing = await errorOf(registeredModel(cwd, params));
    expect([nothing.code, nothing.message]).toEqual(['VERSION_MISSING', 'no version is in production']);
    expect(nothing.hint).toContain('--model VERSION');
    setVersionAlias({ cwd, params, version: first, alias: 'champion', remove: false, actor: 'ada' });
    await promote(promotion(cwd, first, 'production'));
    const versionOf = async (name?: string | number) => (await registeredModel(cwd, params, name)).version;
    expect(await versionOf('champion')).toBe(first);
    expect(await versionOf()).toBe(first);
    expect(await versionOf('latest')).toBe(second);
    expect([await versionOf(2), await versionOf('2')]).toEqual([second, second]);
    expect((await errorOf(versionOf('favourite'))).message).toBe('there is no version or alias `favourite`');
  });
});
