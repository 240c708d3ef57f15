import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { list } from '../../src/registry/versions.js';
import { addVersion, makeProject, ROOT, writeModel } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('the command line', () => {
  const hndsr = (...words: string[]) =>
    execa(process.execPath, [join(ROOT, 'bin', 'hndsr.js'), '-C', cwd, ...words], { reject: false });

  it('exits 3 where a gate is not met, and 1 with a hint where there is no such version', async () => {
    await addVersion(cwd, { psnr: 20 });
    const dry = await hndsr('registry', 'promote', 'latest', '--to', 'production', '--dry');
    expect(dry.exitCode).toBe(3);
    expect(dry.stderr).toContain('would not be promoted');
    const refused = await hndsr('registry', 'promote', 'latest', '--to', 'production');
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain('NOT MET  psnr >= 26: 20.0000');
    const missing = await hndsr('registry', 'show', '9');
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toMatch(/there is no version 9[\s\S]*hint: .*registry list/);
    const wrong = await hndsr('registry', 'show', 'nine');
    expect([wrong.exitCode, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('there is no version or alias `nine`'),
    ]);
  });

  it('registers, promotes and shows as JSON', async () => {
    writeModel(cwd);
    const created = JSON.parse((await hndsr('registry', 'register', '--json')).stdout);
    expect(created).toMatchObject({ version: 1, created: true });
    await hndsr(
      'registry',
      'promote',
      'latest',
      '--to',
      'production',
      '--actor',
      'ada',
      '--reason',
      'better',
    );
    const shown = JSON.parse((await hndsr('registry', 'show', 'production', '--json')).stdout);
    expect(shown.history.at(-1)).toMatchObject({ actor: 'ada', reason: 'better', toStage: 'production' });
    expect((await hndsr('registry', 'list')).stdout).toMatch(/1 +production/);
    expect((await hndsr('registry', 'verify', '1')).exitCode).toBe(0);
    const events = (await hndsr('registry', 'history')).stdout
      .split('\n')
      .filter((line) => /^\d{4}-/.test(line));
    expect(events).toHaveLength(4);
  });

  it('lets many processes promote at once: one version in production, no lock error', async () => {
    const numbers: number[] = [];
    for (let count = 0; count < 4; count++) numbers.push(await addVersion(cwd));
    const results = await Promise.all(
      numbers.map((number) => hndsr('registry', 'promote', String(number), '--to', 'production')),
    );
    expect(results.map(({ stderr }) => stderr).join('')).not.toContain('locked');
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    expect(list(cwd).filter(({ stage }) => stage === 'production')).toHaveLength(1);
    expect(list(cwd).filter(({ stage }) => stage === 'archived')).toHaveLength(3);
  });

  it('leaves no temporary file among the objects', async () => {
    await addVersion(cwd);
    const names = readdirSync(join(cwd, '.hndsr', 'objects'), { recursive: true }).map(String);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
