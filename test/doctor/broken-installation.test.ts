import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Health } from '../../src/doctor/doctor.js';
import { Installation } from './installation.js';

/** The compiled select.js of a machine whose driver computes nothing. */
const BLACK_ENGINE = `
import { GraphEngine } from './graph/engine.js';
export async function selectEngine() {
  const engine = new GraphEngine();
  const blacken = (outputs) =>
    Object.fromEntries(Object.entries(outputs).map(([name, { shape, data }]) => [name, { shape, data: data.fill(0) }]));
  const compile = async (fn, signature) => {
    const program = await engine.compile(fn, signature);
    return { run: async (feeds) => blacken(await program.run(feeds)), dispose: () => program.dispose() };
  };
  return { engine: { compile, dispose: () => engine.dispose() }, reason: '' };
}`;

describe('hndsr doctor on a broken installation', () => {
  let installation: Installation;
  beforeEach(() => {
    installation = new Installation();
  });
  afterEach(() => installation.remove());

  const doctor = (...flags: string[]) =>
    execa(process.execPath, [installation.program, 'doctor', ...flags], {
      cwd: installation.folder,
      reject: false,
    });
  const health = async (): Promise<{ code: number | undefined; found: Health }> => {
    const { exitCode, stdout, stderr } = await doctor('--json');
    expect(stdout, stderr).not.toBe('');
    return { code: exitCode, found: JSON.parse(stdout) as Health };
  };

  it('names packages that are missing, and one that ends the process that loads it, and goes on', async () => {
    installation.removePackage('better-sqlite3');
    installation.replacePackage('sharp', `process.kill(process.pid, 'SIGILL')`);
    const { code, found } = await health();
    expect(code).toBe(3);
    expect(found.healthy).toBe(false);
    const reasons = found.packages.filter(({ working }) => !working).map((one) => [one.name, one.reason]);
    expect(reasons).toEqual([
      ['better-sqlite3', expect.stringMatching(/^Cannot find package 'better-sqlite3'.*npm rebuild/)],
      ['sharp', expect.stringMatching(/^its process ended with SIGILL\. Install hndsr again/)],
    ]);
    expect(found.devices.find(({ device }) => device === 'cpu')).toMatchObject({
      usable: true,
      golden: { passed: true },
    });
  });

  it('says which package the engine lacks', async () => {
    installation.removePackage('onnxruntime-node');
    const { code, found } = await health();
    expect(code).toBe(3);
    expect(found.devices.find(({ device }) => device === 'cpu')).toMatchObject({
      usable: false,
      reason: expect.stringContaining("Cannot find package 'onnxruntime-node'"),
    });
  });

  it('names the device whose pictures are black', async () => {
    writeFileSync(join(installation.folder, 'dist', 'compute', 'select.js'), BLACK_ENGINE);
    const { exitCode, stdout } = await doctor();
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(
      /^onnx on cpu +BROKEN +golden tile: the operator's picture is all black: off by /m,
    );
    expect(stdout).toMatch(/\nSomething is broken: see above\.$/);
  });

  it('says so where the golden tile itself is missing', async () => {
    rmSync(join(installation.folder, 'golden'), { recursive: true });
    const { code, found } = await health();
    expect(code).toBe(3);
    expect(found.devices.find(({ device }) => device === 'cpu')!.golden).toMatchObject({
      passed: false,
      verdict: expect.stringMatching(/^it failed: the autoencoder checkpoint was not found at /),
    });
  });

  it('ends with 130 at Ctrl-C, and blames no device', async () => {
    // A terminal sends it to all processes of the group.
    const child = spawn(process.execPath, [installation.program, 'doctor'], {
      cwd: installation.folder,
      detached: true,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      if (!stderr.includes('checking onnx') && `${stderr}${text}`.includes('checking onnx'))
        process.kill(-child.pid!, 'SIGINT');
      stderr += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toContain('error INTERRUPTED: hndsr doctor was interrupted');
  });
});
