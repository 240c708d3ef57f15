import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history } from '../../src/registry/history.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { list } from '../../src/registry/versions.js';
import { openStore } from '../../src/store/store.js';
import { addVersion, makeProject, paramsOf, promotion } from './project.js';

const who = () => ({ cwd, actor: 'tester', reason: null, params: paramsOf(cwd) });

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('the history', () => {
  it('can be neither changed nor shortened', async () => {
    await addVersion(cwd);
    const store = openStore(cwd);
    expect(() => store.database.exec("UPDATE version_events SET actor = 'nobody'")).toThrow(/append-only/);
    expect(() => store.database.exec('DELETE FROM version_events')).toThrow(/append-only/);
    store.close();
  });

  it.each([
    ['register', 'BEFORE INSERT ON version_events'],
    ['promote', "BEFORE UPDATE ON versions WHEN new.stage = 'production'"],
    ['rollback', "BEFORE UPDATE ON versions WHEN new.stage = 'production'"],
  ])('and the stages stay as they were where %s fails midway', async (verb, event) => {
    const [first, second, third] = [await addVersion(cwd), await addVersion(cwd), await addVersion(cwd)];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'production'));
    const before = [list(cwd), history(cwd)];
    const store = openStore(cwd);
    store.database.exec(`CREATE TRIGGER fails ${event} BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`);
    store.close();
    const work: Record<string, () => Promise<unknown>> = {
      register: () => addVersion(cwd),
      promote: () => promote(promotion(cwd, third, 'production')),
      rollback: () => rollback(who()),
    };
    await expect(work[verb]!()).rejects.toThrow('disk on fire');
    expect([list(cwd), history(cwd)]).toEqual(before);
  });

  it('has one production version, whatever is written', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    const store = openStore(cwd);
    const put = store.database.prepare('UPDATE versions SET in_production = 1 WHERE version = ?');
    put.run(first);
    expect(() => put.run(second)).toThrow(/UNIQUE/);
    store.close();
  });
});
