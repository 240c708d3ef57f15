import { chmod, lstat, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'in.txt': 'one\n',
    'pipeline.yaml': `stages:
  gather:
    cmd: "mkdir -p log; cat in.txt >> log/all.txt; cat in.txt >> sum.txt; grep -qv bad in.txt"
    deps: [in.txt]
    outs: [log: {persist: true}, sum.txt: {persist: true}]
`,
  });
  await project.repro();
});

describe('an output that persists', () => {
  it('is there when its stage runs again', async () => {
    await project.write('in.txt', 'two\n');
    expect(await project.ran()).toEqual(['gather']);
    expect(await project.read('log/all.txt')).toBe('one\ntwo\n');
    expect(await project.read('sum.txt')).toBe('one\ntwo\n');
    expect(await project.stale()).toEqual({});
  });

  it('is as it was after a failure, down to links and modes, and at each try', async () => {
    await project.replace('pipeline.yaml', '    deps:', '    retries: {count: 2, delay: 1ms}\n    deps:');
    await symlink('all.txt', join(project.cwd, 'log', 'link'));
    await chmod(join(project.cwd, 'log', 'all.txt'), 0o444);
    const inode = (await lstat(join(project.cwd, 'log', 'all.txt'))).ino;
    await project.write('in.txt', 'bad\n');
    await project.replace('pipeline.yaml', 'grep -qv bad in.txt', 'cp log/all.txt seen.txt; exit 1');
    await expect(project.repro()).rejects.toThrow('the last of 3 tries');
    expect(await project.read('seen.txt')).toBe('one\nbad\n');
    expect(await project.read('log/all.txt')).toBe('one\n');
    expect(await project.read('sum.txt')).toBe('one\n');
    expect(await readlink(join(project.cwd, 'log', 'link'))).toBe('all.txt');
    const { ino, mode } = await lstat(join(project.cwd, 'log', 'all.txt'));
    expect([ino, mode & 0o777]).toEqual([inode, 0o444]);
  });

  it('need not be there before the first run', async () => {
    await project.write(
      'pipeline.yaml',
      'stages: {new: {cmd: test ! -e n.txt && touch n.txt, outs: [n.txt: {persist: true}]}}',
    );
    expect(await project.ran()).toEqual(['new']);
  });
});
