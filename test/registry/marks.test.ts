import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { markBad, setVersionAlias, tagVersion } from '../../src/registry/marks.js';
import { list, show } from '../../src/registry/versions.js';
import { addVersion, errorOf, makeProject, paramsOf } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const alias = (version: number | string, name: string, remove = false) =>
  setVersionAlias({ cwd, version, alias: name, remove, actor: 'ada', params: paramsOf(cwd) });
const tag = (version: number | string, tags: string[], remove = false) =>
  tagVersion({ cwd, version, tags, remove, actor: 'ada' });
const marks = (version: number) =>
  show(cwd, version)
    .history.slice(1)
    .map(({ kind, reason, actor, toStage }) => [kind, reason, actor, toStage]);

describe('an alias', () => {
  it('stands for a version wherever one is named, moves to another, and can be taken away', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    expect(alias(first, 'champion')).toEqual({ version: first, aliases: ['champion'], tags: [] });
    expect(show(cwd, 'champion').version).toBe(first);
    alias('latest', 'champion');
    alias('champion', 'champion');
    expect(show(cwd, 'champion').version).toBe(second);
    expect(list(cwd).map(({ aliases }) => aliases)).toEqual([['champion'], []]);
    expect(await errorOf(() => alias(first, 'champion', true))).toMatchObject({
      code: 'VERSION_MISSING',
      message: 'version 1 is not `champion`',
    });
    expect(alias(second, 'champion', true).aliases).toEqual([]);
    expect((await errorOf(() => show(cwd, 'champion'))).message).toBe(
      'there is no version or alias `champion`',
    );
    expect([marks(first), marks(second)]).toEqual([
      [['aliased', 'champion', 'ada', 'dev']],
      [
        ['aliased', 'champion, until now of version 1', 'ada', 'dev'],
        ['alias-removed', 'champion', 'ada', 'dev'],
      ],
    ]);
  });

  it.each(['7', 'latest', 'production', 'canary', 'Champion', 'a b', ''])('cannot be `%s`', async (name) => {
    const number = await addVersion(cwd);
    expect(await errorOf(() => alias(number, name))).toMatchObject({ code: 'USAGE', exitCode: 2 });
  });
});

describe('tags', () => {
  it('are any number of words of a version, each change of which is history', async () => {
    const number = await addVersion(cwd);
    expect(tag(number, ['winter', 'sensor=s2']).tags).toEqual(['sensor=s2', 'winter']);
    expect(tag(number, ['winter']).tags).toEqual(['sensor=s2', 'winter']);
    expect(tag(number, ['winter', 'unknown'], true).tags).toEqual(['sensor=s2']);
    expect(list(cwd)[0]!.tags).toEqual(['sensor=s2']);
    expect(marks(number).map(([kind, reason]) => `${kind} ${reason}`)).toEqual([
      'tagged winter',
      'tagged sensor=s2',
      'tag-removed winter',
    ]);
    expect((await errorOf(() => tag(number, ['two words']))).message).toContain('TAG two words');
  });
});

describe('mark-bad', () => {
  it('leaves a version where it stands, and says what is bad about it', async () => {
    const number = await addVersion(cwd);
    markBad({ cwd, version: number, actor: 'ada', reason: 'seams' });
    expect(show(cwd, number)).toMatchObject({ stage: 'dev', bad: 'seams' });
    expect(marks(number)).toEqual([['marked-bad', 'seams', 'ada', 'dev']]);
    const empty = await errorOf(() => markBad({ cwd, version: number, actor: 'ada', reason: ' ' }));
    expect(empty.code).toBe('USAGE');
  });
});
