import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
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
import { eventsOf } from '../../src/store/version-events.js';
import { listVersions } from '../../src/store/versions.js';

/** What `sqlite3 hndsr.db .dump` gave of a database that hndsr wrote when there was schema 1 only. */
const SCHEMA_1 = readFileSync(new URL('./schema-1.sql', import.meta.url), 'utf8');

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-migrations-'));
  mkdirSync(join(cwd, '.hndsr'));
  const database = new Database(storePath(cwd));
  database.exec(SCHEMA_1);
  database.close();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

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

  it('has afterwards what a new one has', () => {
    const fresh = mkdtempSync(join(tmpdir(), 'hndsr-migrations-'));
    expect(layoutOf(cwd)).toEqual(layoutOf(fresh));
    rmSync(fresh, { recursive: true });
  });
});
