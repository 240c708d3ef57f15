import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceFolder } from '../../src/data/replace-folder.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hndsr-replace-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const build = (text: string) => async (staging: string) => {
  await writeFile(join(staging, 'marker.json'), text);
  return text;
};

describe('replacing a folder as a whole', () => {
  it('makes it, with its parents, and replaces an earlier one', async () => {
    const target = join(root, 'a', 'b', 'data');
    expect(await replaceFolder(target, 'marker.json', build('one'))).toBe('one');
    await replaceFolder(target, 'marker.json', build('two'));
    expect(await readFile(join(target, 'marker.json'), 'utf8')).toBe('two');
    expect(await readdir(join(root, 'a', 'b'))).toEqual(['data']);
  });

  it('leaves nothing when the build fails, not even the parents it made', async () => {
    const failing = replaceFolder(join(root, 'a', 'b', 'data'), 'marker.json', async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await readdir(root)).toEqual([]);
  });

  it('refuses a folder that holds something else', async () => {
    const target = join(root, 'home');
    await mkdir(target);
    await writeFile(join(target, 'letter.txt'), 'dear');
    await expect(replaceFolder(target, 'marker.json', build('one'))).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: `${target} holds other files (letter.txt) and is no dataset: it is not replaced`,
    });
    expect(await readdir(target)).toEqual(['letter.txt']);
  });

  it('puts back what a crash in the middle of the exchange left, and removes what is stale', async () => {
    const target = join(root, 'data');
    await replaceFolder(`${target}.previous`, 'marker.json', build('old'));
    const ended = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }).trim();
    await mkdir(`${target}.${ended}.0123abcd.tmp`);
    await mkdir(`${target}.${process.pid}.0123abcd.tmp`);
    const failing = replaceFolder(target, 'marker.json', async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect((await readdir(root)).sort()).toEqual([`data`, `data.${process.pid}.0123abcd.tmp`]);
    expect(await readFile(join(target, 'marker.json'), 'utf8')).toBe('old');
  });

  it('says so when the place cannot be written', async () => {
    await writeFile(join(root, 'file'), '');
    for (const target of [join(root, 'file'), join(root, 'file', 'data')]) {
      await expect(replaceFolder(target, 'marker.json', build('one'))).rejects.toMatchObject({
        code: 'OUTPUT_UNWRITABLE',
        message: expect.stringContaining(`cannot write ${target}: `),
      });
    }
    expect(await readdir(root)).toEqual(['file']);
  });
});

it.skipIf(process.platform !== 'linux')(
  'a file system that makes no folders is reported (Linux: /proc)',
  async () => {
    await expect(replaceFolder('/proc/hndsr/data', 'marker.json', build('one'))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: 'cannot make the folder /proc/hndsr',
    });
  },
);

const readOnly = process.getuid?.() === 0 ? ' (skipped: root may write anywhere)' : '';
it.skipIf(readOnly !== '')(`a read-only folder is reported${readOnly}`, async () => {
  const parent = join(root, 'locked');
  await mkdir(parent, { mode: 0o555 });
  await expect(replaceFolder(join(parent, 'data'), 'marker.json', build('one'))).rejects.toMatchObject({
    code: 'OUTPUT_UNWRITABLE',
  });
});

const mountable = canMount();
it.skipIf(!mountable)(
  `a full disk is reported and left as it was${mountable ? '' : ' (skipped: no right to mount a small file system)'}`,
  async () => {
    mount(root);
    try {
      const target = join(root, 'data');
      await replaceFolder(target, 'marker.json', build('one'));
      const filling = replaceFolder(target, 'marker.json', (staging) =>
        writeFile(join(staging, 'big'), Buffer.alloc(1 << 20)),
      );
      await expect(filling).rejects.toMatchObject({
        code: 'DISK_FULL',
        message: `no space left on the device while writing ${target}`,
      });
      expect(await readdir(root)).toEqual(['data']);
      expect(await readFile(join(target, 'marker.json'), 'utf8')).toBe('one');
    } finally {
      execFileSync('umount', [root]);
    }
  },
);

function mount(folder: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder], { stdio: 'ignore' });
}

function canMount(): boolean {
  try {
    execFileSync('mkdir', ['-p', join(tmpdir(), 'hndsr-mount-probe')]);
    mount(join(tmpdir(), 'hndsr-mount-probe'));
    execFileSync('umount', [join(tmpdir(), 'hndsr-mount-probe')]);
    return true;
  } catch {
    return false;
  }
}
