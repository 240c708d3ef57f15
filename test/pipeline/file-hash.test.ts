import { createHash } from 'node:crypto';
import { mkdir, rename, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { FileHasher } from '../../src/pipeline/file-hash.js';
import { HashCache } from '../../src/pipeline/hash-cache.js';
import { temporaryFolder } from './project.js';

let cwd: string;
beforeEach(async () => {
  cwd = await temporaryFolder();
});

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** As a process of its own would: with only what the cache file remembers. */
async function hash(path: string, signal?: AbortSignal) {
  const cache = await HashCache.open(cwd);
  try {
    return await new FileHasher(cwd, cache, signal).hash(join(cwd, path));
  } finally {
    cache.close();
  }
}

async function put(path: string, data: string | Uint8Array, modified?: Date): Promise<void> {
  await writeFile(join(cwd, path), data);
  if (modified !== undefined) await utimes(join(cwd, path), modified, modified);
}

describe('the hash of a file', () => {
  it.each([0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])(
    'of %i bytes is its SHA-256',
    async (size) => {
      const data = Buffer.alloc(size, 'imagery');
      await put('file', data);
      expect(await hash('file')).toEqual({ sha256: sha256(data), size });
    },
  );

  it('is not computed again while inode, size and mtime stay', async () => {
    const earlier = new Date(Date.now() - 60_000);
    await put('file', 'one', earlier);
    const before = await hash('file');
    await put('file', 'two', earlier);
    expect(await hash('file')).toEqual(before);
    await put('file', 'three', earlier);
    expect(await hash('file')).toEqual({ sha256: sha256('three'), size: 5 });
  });

  it('is computed again for another file under the same name, size and mtime', async () => {
    const earlier = new Date(Date.now() - 60_000);
    await put('file', 'one', earlier);
    await hash('file');
    await put('other', 'two', earlier);
    await rename(join(cwd, 'other'), join(cwd, 'file'));
    expect((await hash('file'))!.sha256).toBe(sha256('two'));
  });

  it('is computed again when the file was written so late that its mtime proves nothing', async () => {
    // Some file systems count mtime in whole seconds: a write in the same second would leave the same one.
    const thisSecond = new Date(Math.ceil(Date.now() / 1000) * 1000);
    await put('file', 'one', thisSecond);
    expect((await hash('file'))!.sha256).toBe(sha256('one'));
    await put('file', 'two', thisSecond);
    expect((await hash('file'))!.sha256).toBe(sha256('two'));
  });

  it('is undefined where there is nothing', async () => {
    expect(await hash('nothing')).toBeUndefined();
    await put('file', '');
    expect(await hash('file/below')).toBeUndefined();
  });

  it('can be interrupted', async () => {
    await put('large', '');
    await truncate(join(cwd, 'large'), 1 << 24);
    const controller = new AbortController();
    controller.abort();
    await expect(hash('large', controller.signal)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('the hash of a folder', () => {
  it('is that of the listing of its files and their hashes, at any depth', async () => {
    await mkdir(join(cwd, 'tree/sub'), { recursive: true });
    await put('tree/sub/z', 'Z');
    await put('tree/b', 'B');
    await put('tree/a', 'A');
    const listing = `[\n["a","${sha256('A')}"],\n["b","${sha256('B')}"],\n["sub/z","${sha256('Z')}"]\n]\n`;
    const expected = { sha256: sha256(listing), size: 3, files: 3 };
    expect(await hash('tree')).toEqual(expected);
    await rename(join(cwd, 'tree'), join(cwd, 'moved'));
    expect(await hash('moved')).toEqual(expected);
    await symlink('moved', join(cwd, 'linked'));
    expect(await hash('linked')).toEqual(expected);
  });

  it('does not tell two trees apart by empty folders, and does by names', async () => {
    await mkdir(join(cwd, 'one/empty'), { recursive: true });
    await mkdir(join(cwd, 'two'), { recursive: true });
    await put('one/a', 'A');
    await put('two/a', 'A');
    expect(await hash('one')).toEqual(await hash('two'));
    await rename(join(cwd, 'two/a'), join(cwd, 'two/b'));
    expect(await hash('one')).not.toEqual(await hash('two'));
  });
});
