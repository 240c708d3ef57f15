import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Probe } from '../../src/compute/probe.js';
import { checkDevices, type DeviceAnswer, type DeviceHealth } from '../../src/doctor/devices.js';
import { type Health, isHealthy } from '../../src/doctor/doctor.js';
import { checkFolder } from '../../src/doctor/folders.js';
import { checkNode } from '../../src/doctor/machine.js';
import { checkPackages } from '../../src/doctor/packages.js';
import { silent } from '../../src/events.js';
import { hndsr } from '../cli/tiny-project.js';
import { hasSoftwareVulkan, NEEDS_VULKAN, VULKAN_ENVIRONMENT } from '../compute/software-vulkan.js';

const folder = mkdtempSync(join(tmpdir(), 'hndsr-doctor-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('hndsr doctor', () => {
  it('finds this machine fit, outside a project, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await hndsr(folder, 'doctor', '--json');
    expect(code, stderr).toBe(0);
    const health = JSON.parse(stdout) as Health;
    expect(health).toMatchObject({ healthy: true, node: { supported: true } });
    expect(health.packages.map(({ name }) => name)).toEqual([
      'hndsr',
      'onnxruntime-node',
      '@tensorflow/tfjs',
      'better-sqlite3',
      'sharp',
    ]);
    expect(health.packages.every(({ working, version }) => working && version !== null)).toBe(true);
    expect(health.machine.threads).toBeGreaterThan(0);
    expect(health.folders[0]).toMatchObject({ path: folder, writable: true, renames: true, low: false });
    const cpu = health.devices.find(({ engine, device }) => engine === 'onnx' && device === 'cpu')!;
    expect(cpu).toMatchObject({ usable: true, golden: { passed: true } });
    expect(cpu.speed!.convolution).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual([]);
  }, 120_000);

  it('says it in words, with the reason of what cannot be used', async () => {
    const { stdout } = await hndsr(folder, 'doctor');
    expect(stdout).toMatch(
      /^onnx on cpu +ok +golden tile: as stored; convolution [\d.]+, product [\d.]+ GFLOP\/s$/m,
    );
    expect(stdout).toMatch(/^(onnx on cuda +not usable .*ONNXRUNTIME_NODE_INSTALL=cuda12|onnx on cuda +ok)/m);
    expect(stdout).toContain('All that is usable computes what it should.');
  }, 120_000);

  it.skipIf(!hasSoftwareVulkan)(
    `checks webgpu (${NEEDS_VULKAN})`,
    async () => {
      const before = process.env.VK_ICD_FILENAMES;
      Object.assign(process.env, VULKAN_ENVIRONMENT);
      try {
        const { stdout } = await hndsr(folder, 'doctor', '--json');
        const { devices } = JSON.parse(stdout) as Health;
        expect(devices.find(({ device }) => device === 'webgpu')).toMatchObject({
          usable: true,
          golden: { passed: true },
        });
      } finally {
        if (before === undefined) delete process.env.VK_ICD_FILENAMES;
        else process.env.VK_ICD_FILENAMES = before;
      }
    },
    240_000,
  );
});

describe('what is broken is a finding', () => {
  const probe = (device: string, usable: boolean): Probe => ({
    engine: 'onnx',
    device,
    usable,
    reason: 'because',
    version: '1',
  });
  const answer = (passed: boolean): DeviceAnswer => ({
    golden: { passed, largestDifference: 0.5, verdict: passed ? 'as stored' : 'all black' },
    speed: null,
  });
  const devicesOf = (...passed: [string, boolean | null][]): Promise<DeviceHealth[]> =>
    checkDevices(
      silent,
      async () => passed.map(([device, one]) => probe(device, one !== null)),
      async ({ device }) => answer(passed.find(([name]) => name === device)![1]!),
    );

  it('a usable device that computes wrongly makes the machine unfit; one that is not usable does not', async () => {
    expect(isHealthy([], await devicesOf(['cpu', true], ['webgpu', null]))).toBe(true);
    expect(isHealthy([], await devicesOf(['cpu', true], ['webgpu', false]))).toBe(false);
    expect(isHealthy([], await devicesOf(['cpu', null], ['webgpu', true]))).toBe(false);
    const [, unusable] = await devicesOf(['cpu', true], ['webgpu', null]);
    expect(unusable).toMatchObject({ golden: null, speed: null, reason: 'because' });
  });

  it('a package that does not load is named with its reason, and the others are looked at', async () => {
    const packages = await checkPackages(async (name) =>
      name === 'better-sqlite3' ? { reason: 'was compiled against another Node.' } : { version: '2.0' },
    );
    expect(packages.filter(({ working }) => !working)).toEqual([
      {
        name: 'better-sqlite3',
        version: null,
        working: false,
        reason: expect.stringMatching(
          /^was compiled against another Node\. Run `npm rebuild better-sqlite3`/,
        ),
      },
    ]);
    expect(packages.filter(({ version }) => version === '2.0')).toHaveLength(3);
    expect(isHealthy(packages, await devicesOf(['cpu', true]))).toBe(false);
  });

  it('a folder that cannot be written is said to be so', async () => {
    const found = await checkFolder(join(folder, 'missing'));
    expect(found).toMatchObject({ free: null, writable: false, renames: false, hardLinks: false });
    expect(found.reason).toContain('ENOENT');
    const { code, stdout } = await hndsr(join(folder, 'missing'), 'doctor');
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/^folder +warning +\S+missing: cannot be written; ENOENT: /m);
  });

  it('little space is said to be so', async () => {
    const found = await checkFolder(folder, async () => 900 * 2 ** 20);
    expect(found).toMatchObject({
      low: true,
      free: 900 * 2 ** 20,
      writable: true,
      renames: true,
      reason: '',
    });
    expect(await checkFolder(folder, async () => 2 ** 30)).toMatchObject({ low: false });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('a Node that is too old is said to be so', () => {
    expect(checkNode('20.18.3').supported).toBe(false);
    expect(checkNode('20.19.0').supported).toBe(true);
    expect(checkNode('24.1.0').supported).toBe(true);
    expect(checkNode('18.20.0').supported).toBe(false);
    expect(checkNode('22.1.0', '>=22').supported).toBe(true);
    expect(checkNode('22.1.0', '>=22').required).toBe('>=22');
  });
});
