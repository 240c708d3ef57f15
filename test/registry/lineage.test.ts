import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { card } from '../../src/registry/card.js';
import { exportArchive } from '../../src/registry/export-archive.js';
import { importArchive } from '../../src/registry/import-archive.js';
import { lineage, lineageMermaid, lineageText, uses } from '../../src/registry/lineage.js';
import { markBad, setVersionAlias } from '../../src/registry/marks.js';
import { show } from '../../src/registry/versions.js';
import { startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { addVersion, errorOf, makeProject, paramsOf, writeDataset } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const SOURCES = [
  { path: 'scenes/0.tif', sha256: '0'.repeat(64) },
  { path: 'scenes/1.tif', sha256: '1'.repeat(64) },
];

/** Gives the runs of the last version a commit, as if the project were in git, and the last of them a run before. */
function atCommit(commit: string): void {
  const store = openStore(cwd);
  const { database } = store;
  database.prepare('UPDATE runs SET git_commit = ?, git_dirty = 1 WHERE git_commit IS NULL').run(commit);
  store.close();
}

describe('lineage', () => {
  it('leads from a version to its files, runs, commits, params, dataset and source files', async () => {
    const number = await addVersion(cwd);
    atCommit('c'.repeat(40));
    const { datasetFingerprint: fingerprint, artifacts } = show(cwd, number);
    const found = lineage(cwd, 'latest');
    expect(found).toMatchObject({ version: number, stage: 'dev', commit: null, dirty: null });
    expect(found.checkpoints).toEqual(artifacts.map(({ role, sha256, run }) => ({ role, sha256, run })));
    expect(found.runs).toHaveLength(3);
    expect(found.runs[0]).toEqual({
      ...{ id: 1, stage: 'autoencoder', status: 'completed', seed: 7, engine: 'onnx', device: 'cpu' },
      ...{ codeVersion: '0.0.0', commit: 'c'.repeat(40), dirty: true, params: { seed: 7 } },
      ...{ dataset: fingerprint, resumedFrom: null },
    });
    expect(found.dataset).toEqual({ fingerprint, sources: SOURCES });
    expect(found.imported).toBeNull();
  });

  it('of an imported version says where it comes from, and what was told of it there', async () => {
    await addVersion(cwd);
    await exportArchive({ cwd, output: 'moved.tar', versions: [], overwrite: false });
    const elsewhere = makeProject();
    try {
      const options = {
        cwd: elsewhere,
        archive: join(cwd, 'moved.tar'),
        actor: 'ada',
        params: paramsOf(cwd),
      };
      await importArchive(options);
      const found = lineage(elsewhere, 'latest');
      expect(found).toMatchObject({ runs: [], dataset: { sources: SOURCES } });
      expect(found.imported).toMatchObject({
        version: 1,
        lineage: { runs: [{ id: 1 }, { id: 2 }, { id: 3 }] },
      });
      expect(lineageText(found)).toMatch(/imported: it was version 1 of another registry, exported 20/);
    } finally {
      rmSync(elsewhere, { recursive: true, force: true });
    }
  });

  it('leads to the runs that a run went on with', async () => {
    await addVersion(cwd);
    const store = openStore(cwd);
    const before = [null, 4].map((resumedFrom) =>
      startRun(store, {
        ...{ stage: 'diffusion', seed: 1, engine: 'onnx', device: 'cpu', engineReason: '', params: {} },
        ...{ datasetFingerprint: 'f', codeVersion: '0', versions: {}, gitCommit: null, gitDirty: null },
        resumedFrom,
      }),
    );
    store.database.prepare('UPDATE runs SET resumed_from = ? WHERE id = 3').run(before[1]);
    store.close();
    expect(lineage(cwd, 1).runs.map(({ id, resumedFrom }) => [id, resumedFrom])).toEqual([
      [1, null],
      [2, null],
      [3, 5],
      [4, null],
      [5, 4],
    ]);
  });

  it('is told in lines, and drawn as a chart that Mermaid reads', async () => {
    await addVersion(cwd);
    const text = lineageText(lineage(cwd, 1));
    expect(text).toMatch(/^version 1 \(dev\), hndsr 0\.0\.0, no git commit\n/);
    expect(text).toMatch(/\n {2}diffusion {2}\w{12} {2}run 3\n/);
    expect(text).toMatch(/\n {2}dataset \w{12}, made of 2 files\n {4}0{12} {2}scenes\/0\.tif\n/);
    const chart = lineageMermaid(lineage(cwd, 1)).split('\n');
    expect(chart[0]).toBe('flowchart TD');
    expect(chart).toContain('  version["version 1<br/>dev"]');
    expect(chart).toContain('  autoencoder --> run1');
    expect(chart.filter((line) => line.includes('scenes/'))).toHaveLength(2);
    const link = /^ {2}[\w-]+(\["[^"]*"\])? --> [\w-]+(\["[^"]*"\])?$/;
    expect(chart.slice(2).filter((line) => !link.test(line))).toEqual([]);
  });

  it('names what is unknown of a version from before links were kept', async () => {
    await addVersion(cwd);
    const store = openStore(cwd);
    store.database.exec('UPDATE artifacts SET run = NULL; DELETE FROM dataset_sources');
    store.close();
    expect(lineageText(lineage(cwd, 1))).toMatch(/of an unknown run[\s\S]*made of files that are not known/);
  });
});

describe('uses', () => {
  it('leads back from a dataset or a commit, by its first digits, to the versions that it went into', async () => {
    const first = await addVersion(cwd);
    atCommit('abc1'.repeat(10));
    const old = show(cwd, first).datasetFingerprint;
    writeDataset(cwd, 2);
    const second = await addVersion(cwd);
    atCommit('abc2'.repeat(10));
    expect(uses(cwd, 'dataset', old.slice(0, 8)).map(({ version }) => version)).toEqual([first]);
    expect(uses(cwd, 'commit', 'abc2')).toMatchObject([{ version: second, runs: [4, 5, 6], commit: null }]);
    expect(uses(cwd, 'commit', 'dddd')).toEqual([]);
    expect(await errorOf(() => uses(cwd, 'commit', 'abc'))).toMatchObject({ code: 'USAGE' });
    expect(await errorOf(() => uses(cwd, 'commit', "x' OR 1"))).toMatchObject({ code: 'USAGE' });
  });
});

describe('the model card', () => {
  it('says what the model is for, takes, was trained on and reached, and what is bad about it', async () => {
    await addVersion(cwd, { lpips: null });
    setVersionAlias({
      cwd,
      version: 1,
      alias: 'champion',
      remove: false,
      actor: 'ada',
      params: paramsOf(cwd),
    });
    markBad({ cwd, version: 1, actor: 'ada', reason: 'seams' });
    const text = card(cwd, 'champion');
    for (const line of [
      '# Model card: version 1',
      '**Marked bad:** seams',
      '- **Licence:** not stated',
      '- **Aliases:** champion; **tags:** none',
      '- **Bands:** 4, 3, 2, as red, green and blue',
      '- **Values:** from 0 (black) to 10000 (white)',
      '- **Scales:** x4',
      'Means over 8 tiles of the test split, x4; sampled at strength 0.2 in 6 steps (eta 0, seed 4).',
      '| PSNR, dB | 31.00 | 31.00 | 30.00 |',
      '| LPIPS | not measured | not measured | not measured |',
      '| 3 | diffusion | 7 | onnx on cpu | hndsr 0.0.0 | none |',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).toContain(': 0 train, 0 validation, 8 test tiles, made of 2 files.');
  });
});
