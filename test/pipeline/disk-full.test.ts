import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Project } from './project.js';

const mountable =
  process.platform === 'linux' &&
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

const FILL = 'cat /dev/zero > out.bin 2> /dev/null; true';

let project: Project;
let lock: string;
/** A project on a disk of its own, with a stage that has run once. */
async function makeProject(): Promise<void> {
  const outer = await Project.create({ 'disk/place': '' });
  const disk = join(outer.cwd, 'disk');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk]);
  onTestFinished(() => void execFileSync('umount', ['--lazy', disk]));
  project = Project.at(disk);
  await project.write('in.txt', 'one\n');
  await project.write(
    'pipeline.yaml',
    `stages:
  make: {cmd: cp in.txt out.bin, deps: [in.txt], outs: [out.bin]}
  use: {cmd: cp out.bin used.bin, deps: [out.bin], outs: [used.bin]}
`,
  );
  await project.repro();
  lock = await project.read('hndsr.lock');
}

describe.runIf(mountable)('a full disk (skipped where tmpfs cannot be mounted)', () => {
  beforeEach(makeProject);

  it.each([
    ['by what a stage made', FILL],
    ['by what a stage printed', `${FILL}; while echo text; do :; done`],
  ])('%s is a clear error, and nothing is lost', async (_, command) => {
    await project.replace('pipeline.yaml', 'cp in.txt out.bin', command);
    const { code, stderr } = await project.run('repro', '--keep-going');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /\nerror DISK_FULL: no space left on the device while writing .*\n {2}hint: Free some space/,
    );
    expect(await project.read('out.bin')).toBe('one\n');
    expect(await project.read('used.bin')).toBe('one\n');
    expect(await project.read('hndsr.lock')).toBe(lock);
    await project.replace('pipeline.yaml', command, 'cp in.txt out.bin');
    expect(await project.stale()).toEqual({});
    await project.write('in.txt', 'two\n');
    expect(await project.ran()).toEqual(['make', 'use']);
    expect(await project.read('used.bin')).toBe('two\n');
  });

  it('before a stage runs leaves its outputs where they are', async () => {
    await project.write('in.txt', 'two\n');
    await mkdir(join(project.cwd, 'other'));
    spawnSync('sh', ['-c', 'cat /dev/zero > other/full'], { cwd: project.cwd });
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain('error DISK_FULL: ');
    expect(await project.read('out.bin')).toBe('one\n');
    spawnSync('rm', ['-r', 'other'], { cwd: project.cwd });
    expect(await project.ran()).toEqual(['make', 'use']);
  });
});
