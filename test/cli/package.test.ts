import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './tiny-project.js';

/** As a user's shell: without what the test's own npm run put there, and with what README says. */
const ENVIRONMENT = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(config|package|lifecycle|execpath|command|node)/i.test(name),
    ),
  ),
  ONNXRUNTIME_NODE_INSTALL: 'skip',
};

describe('the package, installed from its tarball into an empty folder', () => {
  let folder: string;
  const run = (file: string, words: string[]) =>
    execa(file, words, { cwd: folder, env: ENVIRONMENT, extendEnv: false, reject: false });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hndsr-installed-'));
    // The test's setup has compiled already; packing must not do it again below the other tests.
    const packed = await execa('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      cwd: ROOT,
    });
    const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
    const installed = await run('npm', ['install', '--no-audit', '--no-fund', `./${filename}`]);
    expect(installed.exitCode, installed.stderr).toBe(0);
  }, 600_000);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('answers, starts a project and opens its store, as README says', async () => {
    const hndsr = (...words: string[]) => run(join(folder, 'node_modules', '.bin', 'hndsr'), words);
    expect((await hndsr('--version')).stdout).toMatch(/^\d+\.\d+\.\d+$/);
    expect((await hndsr('init', 'project')).exitCode).toBe(0);
    const versions = await hndsr('-C', 'project', 'registry', 'list');
    expect([versions.exitCode, versions.stdout]).toEqual([0, 'no version is registered']);
    const etl = await hndsr('-C', 'project', 'etl');
    expect([etl.exitCode, etl.stderr]).toEqual([1, expect.stringContaining('INPUT_EMPTY')]);
    const train = await hndsr('-C', 'project', 'train', '--stage', 'autoencoder');
    expect([train.exitCode, train.stderr]).toEqual([1, expect.stringContaining('DATASET_MISSING')]);
    const doctor = await hndsr('doctor', '--json');
    expect([doctor.exitCode, doctor.stdout]).toEqual([0, expect.stringContaining('"healthy": true')]);
  });
});
