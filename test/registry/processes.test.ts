import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { list, show, verify } from '../../src/registry/versions.js';
import { openStore } from '../../src/store/store.js';
import { makeProject, registration, writeModel } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const dist = (name: string): string => new URL(`../../dist/${name}.js`, import.meta.url).href;

/** A process that registers the project's model once and prints what came of it. */
const REGISTER_ONCE = `
  const { register } = await import(${JSON.stringify(dist('registry/register'))});
  const [options] = process.argv.slice(1).map((text) => JSON.parse(text));
  try {
    const { version, created } = await register(options);
    console.log(JSON.stringify({ version: version.version, created }));
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }`;

/** A process that makes new models for ever, promotes each to production, and prints each number once it is there. */
const PROMOTE_FOR_EVER = `
  import { createHash, randomBytes } from 'node:crypto';
  import { mkdirSync, writeFileSync } from 'node:fs';
  const { register } = await import(${JSON.stringify(dist('registry/register'))});
  const { promote } = await import(${JSON.stringify(dist('registry/promote'))});
  const { loadParams } = await import(${JSON.stringify(dist('config/params'))});
  const cwd = process.argv[1];
  const params = loadParams(cwd);
  const who = { cwd, actor: 'tester', reason: null };
  const scores = { psnr: { model: 31, operator: 31, bicubic: 30 }, ssim: { model: 0.9, operator: 0.9, bicubic: 0.8 } };
  while (true) {
    const checkpoints = {};
    for (const stage of ['autoencoder', 'neural-operator', 'diffusion']) {
      const bytes = randomBytes(5000);
      mkdirSync(cwd + '/checkpoints/' + stage, { recursive: true });
      writeFileSync(cwd + '/checkpoints/' + stage + '/best.safetensors', bytes);
      checkpoints[stage] = createHash('sha256').update(bytes).digest('hex');
    }
    const metrics = { ...scores, lpips: null, scale: 4, datasetFingerprint: 'f', checkpoints, codeVersion: '0' };
    writeFileSync(cwd + '/metrics.json', JSON.stringify(metrics));
    const { version } = await register({ ...who, metricsFile: 'metrics.json', gitCommit: null, existing: 'refuse' });
    await promote({ ...who, version: version.version, to: 'production', params });
    console.log(version.version);
  }`;

const run = (script: string, ...words: string[]) =>
  execa(process.execPath, ['--input-type=module', '-e', script, ...words]);

async function registerAtOnce(
  existing: 'refuse' | 'reuse',
): Promise<{ code?: string; version?: number; created?: boolean }[]> {
  const options = JSON.stringify(registration(cwd, existing));
  const results = await Promise.all(Array.from({ length: 4 }, () => run(REGISTER_ONCE, options)));
  return results.map(({ stdout }) => JSON.parse(stdout));
}

describe('processes that register the same model at once', () => {
  it('make one version; the others are told of the duplicate', async () => {
    writeModel(cwd);
    const answers = await registerAtOnce('refuse');
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === 'VERSION_DUPLICATE')).toHaveLength(3);
    expect(list(cwd)).toHaveLength(1);
    await verify(cwd, 1);
  });

  it('are all given the one version with --reuse', async () => {
    writeModel(cwd);
    const answers = await registerAtOnce('reuse');
    expect(answers.map(({ version }) => version)).toEqual([1, 1, 1, 1]);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });
});

describe('a process that is killed while it promotes', () => {
  it.each([1, 4, 7])('after version %i leaves whole versions and whole histories', async (enough) => {
    const child = run(PROMOTE_FOR_EVER, cwd);
    let told = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      told = Number(line);
      if (told === enough) setTimeout(() => child.kill('SIGKILL'), 3 * enough);
    }
    await expect(child).rejects.toMatchObject({ signal: 'SIGKILL' });
    const store = openStore(cwd);
    expect(store.database.pragma('integrity_check', { simple: true })).toBe('ok');
    store.close();
    const versions = list(cwd);
    const inProduction = versions.filter(({ stage }) => stage === 'production');
    expect(inProduction).toHaveLength(1);
    expect(inProduction[0]!.version).toBeGreaterThanOrEqual(told);
    for (const { version, stage } of versions) {
      expect(show(cwd, version).history.at(-1)!.toStage).toBe(stage);
      await verify(cwd, version);
    }
  });
});
