import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history, whoWas } from '../../src/registry/history.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { verifyAll } from '../../src/registry/verify.js';
import { list } from '../../src/registry/versions.js';
import { openStore } from '../../src/store/store.js';
import { addVersion, errorOf, makeProject, paramsOf, promotion } from './project.js';

/** Until the clock shows another millisecond. */
async function tick(): Promise<void> {
  for (const now = Date.now(); Date.now() === now; ) await new Promise((resolve) => setImmediate(resolve));
}

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

describe('who-was', () => {
  it('names the version that was in a stage at a moment, and who had put it there', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    const before = new Date().toISOString();
    await tick();
    await promote({ ...promotion(cwd, first, 'production'), actor: 'ada' });
    await tick();
    const between = new Date().toISOString();
    await tick();
    await promote(promotion(cwd, second, 'production'));
    await tick();
    const after = new Date().toISOString();
    await tick();
    await rollback(who());
    expect(whoWas(cwd, 'production', before)).toEqual([]);
    expect(whoWas(cwd, 'production', between)).toMatchObject([
      { version: first, actor: 'ada', kind: 'promoted' },
    ]);
    expect(whoWas(cwd, 'production', after)).toMatchObject([{ version: second }]);
    expect(whoWas(cwd, 'archived', after)).toMatchObject([{ version: first, kind: 'replaced' }]);
    const now = new Date(Date.now() + 1000).toISOString();
    expect(whoWas(cwd, 'production', now)).toMatchObject([{ version: first, kind: 'restored' }]);
    expect((await errorOf(() => whoWas(cwd, 'production', 'yesterday'))).message).toBe(
      '--at yesterday: is not a date',
    );
  });

  it('takes no notice of a promotion that was refused', async () => {
    const number = await addVersion(cwd, { psnr: 20 });
    await errorOf(promote(promotion(cwd, number, 'production')));
    expect(whoWas(cwd, 'production', new Date(Date.now() + 1000).toISOString())).toEqual([]);
  });
});

describe('the chain of events', () => {
  /** Does what the triggers forbid, as someone with the file could. */
  function tamper(change: string): void {
    const store = openStore(cwd);
    store.database.exec('DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_removed;');
    store.database.exec(change);
    store.close();
  }

  it('is whole after every kind of change, and ends in the hash of the last event', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'production'));
    await rollback(who());
    const events = history(cwd);
    expect(await verifyAll(cwd)).toEqual({
      ...{ versions: 2, files: 6, events: events.length, head: events.at(-1)!.hash },
    });
  });

  it.each([
    [
      'an event that was changed',
      "UPDATE version_events SET actor = 'nobody' WHERE id = 2",
      'event 2 was changed',
    ],
    ['gates that were changed', "UPDATE version_events SET gates = '[]' WHERE id = 5", 'event 5 was changed'],
    ['an event that was taken out', 'DELETE FROM version_events WHERE id = 3', 'event 3 is missing'],
    ['the last events taken away', 'DELETE FROM version_events WHERE id > 4', 'events 5 to 5 are missing'],
    [
      'an event that was put in',
      "INSERT INTO version_events SELECT 6, version, at, actor, kind, from_stage, to_stage, reason, gates, forced, in_production, hash, 'made up' FROM version_events WHERE id = 5",
      'event 6 was changed',
    ],
    [
      'a stage that was changed behind its back',
      "UPDATE versions SET stage = 'canary' WHERE version = 2",
      'version 2 is canary, but the history left it in dev',
    ],
    [
      'a version that was put into production behind its back',
      'UPDATE versions SET in_production = 0; UPDATE versions SET in_production = 1 WHERE version = 2',
      'version 1 is not in production, but the history left it in production',
    ],
  ])('shows %s', async (_what, change, message) => {
    const first = await addVersion(cwd);
    await addVersion(cwd);
    await promote(promotion(cwd, first, 'production'));
    tamper(change);
    const error = await errorOf(verifyAll(cwd));
    expect([error.code, error.exitCode]).toEqual(['HISTORY_BROKEN', 1]);
    expect(error.message).toContain(message);
  });

  it('has room for one event after each, so that no two histories can be told', async () => {
    await addVersion(cwd);
    const store = openStore(cwd);
    const copy = `INSERT INTO version_events (version, at, actor, kind, to_stage, forced, in_production, previous, hash)
      SELECT version, at, actor, kind, to_stage, 0, 0, previous, 'other' FROM version_events`;
    expect(() => store.database.exec(copy)).toThrow(/UNIQUE/);
    store.close();
  });
});
