import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
import { verifyHistory } from '../../src/registry/verify.js';
import { lineageOf } from '../../src/store/lineage.js';
import { apply, MIGRATIONS } from '../../src/store/migrations/migrate.js';
import {
  allRuns,
  checkpointsOf,
  getRun,
  metricsOf,
  recordCheckpoint,
  recordMetrics,
  startRun,
} from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { systemSummaryOf } from '../../src/store/system-metrics.js';
import { eventsOf, recordEvent } from '../../src/store/version-events.js';
import { artifactsOf, getVersion, insertVersion, listVersions } from '../../src/store/versions.js';

/** What `sqlite3 hndsr.db .dump` gave of databases that hndsr wrote when there were so many migrations only. */
const dump = (schema: number): string =>
  readFileSync(new URL(`./schema-${schema}.sql`, import.meta.url), 'utf8');

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-migrations-'));
  mkdirSync(join(cwd, '.hndsr'));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function makeDatabase(fill: (database: Database.Database) => void): void {
  const database = new Database(storePath(cwd));
  fill(database);
  database.close();
}

/** The tables, columns and indices of a database, in words that do not depend on how it came to them. */
function layoutOf(folder: string): unknown {
  const { database, close } = openStore(folder);
  const objects = database
    .prepare("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name")
    .all() as { type: string; name: string }[];
  const columns = objects.map(({ name }) => database.pragma(`table_info(${name})`));
  close();
  return { objects, columns };
}

describe('a database of schema 1', () => {
  beforeEach(() => makeDatabase((database) => database.exec(dump(1))));

  it('keeps its rows; what was not written down then is unknown, not invented', () => {
    const store = openStore(cwd);
    expect(getRun(store, 1)).toMatchObject({
      stage: 'autoencoder',
      status: 'completed',
      seed: 42,
      device: 'cpu',
      params: { training: { batch: 16 } },
      datasetFingerprint: 'd1',
      gitCommit: 'abc',
      gitDirty: true,
      checkpoint: { path: 'checkpoints/autoencoder/best.safetensors', sha256: 'aa' },
      engineReason: null,
      versions: {},
      resumedFrom: null,
      firstStep: 1,
    });
    expect(metricsOf(store, 1, 'loss')).toEqual([
      { step: 1, value: 0.5 },
      { step: 2, value: null },
    ]);
    expect([checkpointsOf(store, 1), systemSummaryOf(store, 1)]).toEqual([[], undefined]);
    expect(listVersions(store)).toMatchObject([{ version: 1, actor: 'someone' }]);
    expect(eventsOf(store)).toMatchObject([{ version: 1, kind: 'registered' }]);
    store.close();
  });

  it('calls engines by their new names', () => {
    const store = openStore(cwd);
    expect(allRuns(store).map(({ engine }) => engine)).toEqual(['tensorflow', 'onnx']);
    store.close();
  });

  it('takes new runs, with all that belongs to them', () => {
    const store = openStore(cwd);
    const { params, ...old } = getRun(store, 1)!;
    const id = startRun(store, { ...old, params, engineReason: 'asked for', resumedFrom: 1, firstStep: 3 });
    expect(id).toBe(3);
    recordMetrics(store, id, [{ step: 3, values: { loss: 1 } }]);
    recordCheckpoint(store, id, { path: 'p', sha256: 'b', step: 3, kind: 'last' });
    expect(getRun(store, id)).toMatchObject({ engineReason: 'asked for', resumedFrom: 1, firstStep: 3 });
    store.close();
  });

  it('has its version and event in the registry, the run of a file found by its hash', async () => {
    const store = openStore(cwd);
    expect(artifactsOf(store, 1)).toEqual([{ role: 'autoencoder', sha256: 'aa', size: 3, run: 1 }]);
    expect(getVersion(store, 1)).toMatchObject({ stage: 'dev', inProduction: false, signature: null });
    expect(verifyHistory(store)).toMatchObject({ events: 1 });
    store.close();
  });
});

describe('a database of schema 2, with versions that were promoted, replaced, refused and rolled back', () => {
  beforeEach(() => makeDatabase((database) => database.exec(dump(2))));

  it('keeps every version and event, and chains the events', () => {
    const store = openStore(cwd);
    expect(
      listVersions(store).map(({ version, stage, inProduction, psnr, ssim, lpips }) => [
        ...[version, stage, inProduction, psnr, ssim, lpips],
      ]),
    ).toEqual([
      [3, 'dev', false, 20, 0.85, null],
      [2, 'archived', false, 31.5, 0.85, null],
      [1, 'production', true, 31, 0.85, null],
    ]);
    const events = eventsOf(store);
    expect(events.map(({ version, kind, toStage }) => `${version} ${kind} ${toStage}`)).toEqual([
      ...['1 registered dev', '2 registered dev', '3 registered dev'],
      ...['1 promoted staging', '1 promoted canary', '1 promoted production'],
      ...['2 promoted staging', '2 promoted canary', '1 replaced archived', '2 promoted production'],
      ...['3 refused production', '2 rolled-back archived', '1 restored production'],
    ]);
    expect(
      events.filter(({ inProduction }) => inProduction).map(({ version, kind }) => [version, kind]),
    ).toEqual([
      [1, 'promoted'],
      [2, 'promoted'],
      [1, 'restored'],
    ]);
    expect(events[5]).toMatchObject({
      actor: 'Ada <ada@example.org>',
      reason: 'first',
      forced: false,
      gates: [{ gate: 'psnr >= 26', value: 31, passed: true }],
    });
    expect(verifyHistory(store)).toEqual({ events: 13, head: events[12]!.hash });
    store.close();
  });

  it('goes on from there: the next event and version follow the last, and history stays append-only', () => {
    const store = openStore(cwd);
    const { artifacts: _, ...like } = { ...getVersion(store, 1)!, artifacts: [] };
    const version = insertVersion(store, {
      ...like,
      stage: 'dev',
      artifacts: [{ role: 'a', sha256: 'b', size: 1 }],
    });
    expect(version).toBe(4);
    const event = { version, actor: 'ada', fromStage: null, toStage: 'dev', reason: null, gates: null };
    recordEvent(store, { ...event, kind: 'registered' });
    expect(verifyHistory(store)).toMatchObject({ events: 14 });
    expect(() => store.database.exec('DELETE FROM version_events')).toThrow(/append-only/);
    expect(() => store.database.exec('UPDATE versions SET in_production = 1 WHERE version = 4')).toThrow(
      /UNIQUE/,
    );
    expect(() => store.database.exec('DELETE FROM versions')).toThrow(/FOREIGN KEY/);
    store.close();
  });

  it('leads from a version to the runs that wrote its files', () => {
    const store = openStore(cwd);
    expect(lineageOf(store, 2)).toMatchObject({
      commit: 'c'.repeat(40),
      checkpoints: [
        { role: 'autoencoder', run: 1 },
        { role: 'diffusion', run: 4 },
        { role: 'neural-operator', run: 2 },
      ],
      runs: [{ id: 1 }, { id: 2 }, { id: 4, stage: 'diffusion', dirty: false }],
      dataset: { fingerprint: 'd'.repeat(64), sources: [] },
    });
    store.close();
  });

  it('stays as it was where a row refers to one that is not there, which is named', () => {
    makeDatabase((database) => {
      database.pragma('foreign_keys = OFF');
      database.exec('DELETE FROM runs WHERE id = 4');
    });
    expect(() => openStore(cwd)).toThrow(/a row of \w+ refers to one of runs that is not there/);
    makeDatabase((database) => expect(database.pragma('user_version', { simple: true })).toBe(2));
  });
});

describe('a database of every earlier schema', () => {
  it.each(MIGRATIONS.map((_, applied) => applied))(
    'after %i migrations, comes to what a new one has',
    (applied) => {
      makeDatabase((database) => {
        for (const migration of MIGRATIONS.slice(0, applied)) apply(database, migration);
        database.pragma(`user_version = ${applied}`);
      });
      const fresh = mkdtempSync(join(tmpdir(), 'hndsr-migrations-'));
      expect(layoutOf(cwd)).toEqual(layoutOf(fresh));
      rmSync(fresh, { recursive: true });
    },
  );
});
