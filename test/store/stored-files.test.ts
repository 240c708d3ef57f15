import { createHash } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { objectPath } from '../../src/store/objects.js';
import { StoredFiles, type Way } from '../../src/store/stored-files.js';
import { temporaryFolder } from '../pipeline/project.js';

const SHA256 = createHash('sha256').update('bytes').digest('hex');

let cwd: string;
let files: StoredFiles;
beforeEach(async () => {
  cwd = await temporaryFolder();
  files = new StoredFiles(cwd);
  await writeFile(join(cwd, 'file'), 'bytes');
});

it.each<Way[]>([['copy'], ['hard-link', 'copy'], ['reflink', 'copy'], ['reflink', 'hard-link', 'copy']])(
  'a file goes in and comes out the same by %s',
  async (...ways) => {
    await files.keep(join(cwd, 'file'), SHA256, ways);
    const object = objectPath(cwd, SHA256);
    expect((await stat(object)).mode & 0o777).toBe(0o444);
    await files.take(SHA256, join(cwd, 'again'), { ways, executable: false });
    expect(await readFile(join(cwd, 'again'), 'utf8')).toBe('bytes');
    // Again, onto itself.
    await files.keep(join(cwd, 'again'), SHA256, ways);
    expect(await readFile(object, 'utf8')).toBe('bytes');
  },
);

it('a hard link shares the bytes and is read-only; what may be run is a file of its own', async () => {
  await files.keep(join(cwd, 'file'), SHA256, ['hard-link']);
  const object = await stat(objectPath(cwd, SHA256));
  expect((await stat(join(cwd, 'file'))).ino).toBe(object.ino);
  await files.take(SHA256, join(cwd, 'program'), { ways: ['hard-link', 'copy'], executable: true });
  const program = await stat(join(cwd, 'program'));
  expect(program.ino).not.toBe(object.ino);
  expect(program.mode & 0o777).toBe(0o755);
  expect((await stat(objectPath(cwd, SHA256))).mode & 0o777).toBe(0o444);
});

it('a copy may be written to, and the object stays', async () => {
  await files.keep(join(cwd, 'file'), SHA256, ['copy']);
  await files.take(SHA256, join(cwd, 'again'), { ways: ['copy'], executable: false });
  await chmod(join(cwd, 'again'), 0o644);
  await writeFile(join(cwd, 'again'), 'other');
  expect(await readFile(objectPath(cwd, SHA256), 'utf8')).toBe('bytes');
});
