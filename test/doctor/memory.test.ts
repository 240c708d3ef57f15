import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { memoryLimit } from '../../src/doctor/memory.js';

const folder = mkdtempSync(join(tmpdir(), 'hndsr-cgroup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const TOTAL = 16 * 2 ** 30;
let systems = 0;

/** The limit on a machine with these files. */
function limitOf(files: Record<string, string>): Promise<number | null> {
  const root = join(folder, String(systems++));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return memoryLimit(root, TOTAL);
}

describe('the memory that a control group allows', () => {
  it('is that of the group, or the least of those around it', async () => {
    const groups = { 'proc/self/cgroup': '0::/batch.slice/job\n' };
    const job = 'sys/fs/cgroup/batch.slice/job/memory.max';
    const slice = 'sys/fs/cgroup/batch.slice/memory.max';
    expect(await limitOf({ ...groups, [job]: '2147483648\n', [slice]: 'max\n' })).toBe(2 ** 31);
    expect(await limitOf({ ...groups, [job]: '2147483648\n', [slice]: '1073741824\n' })).toBe(2 ** 30);
  });

  it('is found in a container, whose own group is the outermost that it sees', async () => {
    const limit = { 'sys/fs/cgroup/memory.max': '1073741824\n' };
    expect(await limitOf({ 'proc/self/cgroup': '0::/\n', ...limit })).toBe(2 ** 30);
    expect(await limitOf({ 'proc/self/cgroup': '0::/../../other\n', ...limit })).toBe(2 ** 30);
  });

  it('is found under version 1, beside other controllers', async () => {
    const groups = { 'proc/self/cgroup': '9:name=systemd:/\n8:pids:/a\n4:cpu,memory:/docker/a:b\n0::/\n' };
    const path = 'sys/fs/cgroup/memory/docker/a:b/memory.limit_in_bytes';
    expect(await limitOf({ ...groups, [path]: '1073741824\n' })).toBe(2 ** 30);
    expect(await limitOf({ ...groups, [path]: '9223372036854771712\n' })).toBeNull();
  });

  it('is none where there are no groups, or they allow all that there is', async () => {
    expect(await limitOf({})).toBeNull();
    const groups = { 'proc/self/cgroup': '0::/a\n' };
    expect(await limitOf({ ...groups, 'sys/fs/cgroup/a/memory.max': 'max\n' })).toBeNull();
    expect(await limitOf({ ...groups, 'sys/fs/cgroup/a/memory.max': `${TOTAL}\n` })).toBeNull();
  });
});
