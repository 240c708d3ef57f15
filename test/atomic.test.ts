import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkWritable, writeAtomic } from '../src/atomic.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hndsr-atomic-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writeAtomic', () => {
  it('makes missing folders, replaces what was there and leaves nothing else', async () => {
    const path = join(folder, 'a', 'b', 'file');
    await writeAtomic(path, 'old');
    await writeAtomic(path, 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(readdirSync(join(folder, 'a', 'b'))).toEqual(['file']);
  });

  it('names the path that cannot be written, and what to do', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(writeAtomic(join(folder, 'file', 'below'), 'x')).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining(join(folder, 'file', 'below')),
      hint: expect.stringContaining('permissions'),
    });
  });

  it.skipIf(process.platform !== 'linux')(
    'ends where a folder takes no new entries, as /proc (Linux)',
    async () => {
      for (const path of ['/proc/hndsr/below/file', '/proc/file']) {
        await expect(writeAtomic(path, 'x')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
        await expect(checkWritable(path)).rejects.toMatchObject({
          code: 'OUTPUT_UNWRITABLE',
          hint: expect.stringContaining('another output path'),
        });
      }
    },
  );

  it('can be asked beforehand, which leaves nothing', async () => {
    await checkWritable(join(folder, 'a', 'file'));
    expect(readdirSync(join(folder, 'a'))).toEqual([]);
  });

  const mountable =
    process.platform === 'linux' &&
    spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

  it.skipIf(!mountable)(
    'on a full disk keeps the old file whole (skipped where tmpfs cannot be mounted)',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder]);
      try {
        const path = join(folder, 'file');
        await writeAtomic(path, 'old');
        await expect(writeAtomic(path, new Uint8Array(1 << 20))).rejects.toMatchObject({
          code: 'DISK_FULL',
          message: expect.stringContaining(path),
        });
        expect(readFileSync(path, 'utf8')).toBe('old');
        expect(readdirSync(folder)).toEqual(['file']);
      } finally {
        execFileSync('umount', [folder]);
      }
    },
  );
});
