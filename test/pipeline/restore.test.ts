import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project, temporaryFolder } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'in.txt': 'one\n',
    'pipeline.yaml': `
stages:
  make: {cmd: "echo make >> trace; mkdir out; cp in.txt out/made.txt; cp in.txt out/copy.txt", deps: [in.txt], outs: [out]}
  use: {cmd: "echo use >> trace; cat out/made.txt > used.txt", deps: [out], metrics: [used.txt: {cache: false}]}
`,
  });
  await project.repro();
  await project.write('in.txt', 'two\n');
  await project.repro();
  await project.write('in.txt', 'one\n');
});

describe('repro', () => {
  it('restores what an earlier run made instead of running it again', async () => {
    expect((await project.run('repro', '--dry')).stdout).toBe(
      'make: would be restored from an earlier run (dependency in.txt changed)\n' +
        'use: would run (upstream stage make will run)\n',
    );
    const { code, stdout, stderr } = await project.run('repro');
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('0 stages ran, 2 restored, 0 unchanged.\n');
    expect(stderr).toMatch(/^\[make\] restored from an earlier run in [\d.]+ s\n\[use\] restored/);
    expect(await project.read('out/made.txt')).toBe('one\n');
    expect(await project.read('used.txt')).toBe('one\n');
    expect(await project.read('trace')).toBe('make\nuse\nmake\nuse\n');
    expect(await project.stale()).toEqual({});
  });

  it('restores what `git checkout` calls for', async () => {
    const git = (...words: string[]): void => {
      const names = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
      execFileSync('git', [...names, ...words], { cwd: project.cwd, stdio: 'ignore' });
    };
    await project.repro();
    await project.write('.gitignore', '.hndsr\nout\nused.txt\ntrace\n');
    git('init');
    git('add', '.');
    git('commit', '-m', 'one');
    await project.write('in.txt', 'two\n');
    await project.repro();
    git('checkout', '--', '.');
    await rm(join(project.cwd, 'out'), { recursive: true });
    expect(Object.keys(await project.stale())).toEqual(['make', 'use']);
    expect(await project.restored()).toEqual(['make', 'use']);
    expect(await project.read('used.txt')).toBe('one\n');
    expect(await project.read('trace')).toBe('make\nuse\nmake\nuse\n');
  });

  it('runs it with --no-run-cache and with --force', async () => {
    const { stdout } = await project.run('repro', '--no-run-cache');
    expect(stdout).toBe('2 stages ran, 0 unchanged.\n');
    expect(await project.ran({ force: true })).toEqual(['make', 'use']);
  });

  it('runs it where the cache is damaged, and leaves nothing of the damaged one', async () => {
    const objects = join(project.cwd, '.hndsr', 'objects');
    const files = readdirSync(objects, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    for (const { parentPath, name } of files) {
      await chmod(join(parentPath, name), 0o644);
      await writeFile(join(parentPath, name), 'damaged');
    }
    // An output may share its bytes with an object.
    await rm(join(project.cwd, 'out'), { recursive: true });
    expect(await project.ran()).toContain('make');
    expect(await project.read('out/made.txt')).toBe('one\n');
    expect((await readdir(join(project.cwd, 'out'))).sort()).toEqual(['copy.txt', 'made.txt']);
    expect(await project.stale()).toEqual({});
    await project.write('in.txt', 'two\n');
    await project.repro();
    await project.write('in.txt', 'one\n');
    expect(await project.restored()).toEqual(['make', 'use']);
  });

  it('lets a stage write over an output that was restored, without changing the cache', async () => {
    await project.repro();
    await project.write('in.txt', 'three\n');
    expect(await project.ran()).toEqual(['make', 'use']);
    await project.write('in.txt', 'two\n');
    expect(await project.restored()).toEqual(['make', 'use']);
    expect(await project.read('out/made.txt')).toBe('two\n');
  });
});

describe('repro --pull', () => {
  it('takes what another machine made from the remote, and runs what it does not have', async () => {
    const remote = join(await temporaryFolder(), 'remote');
    const pipeline = `cache: {remote: ${remote}}${await project.read('pipeline.yaml')}`;
    await project.write('pipeline.yaml', pipeline);
    await project.repro();
    const pushed = await project.run('push');
    expect(pushed.code, pushed.stderr).toBe(0);
    const other = await Project.create({ 'in.txt': 'one\n', 'pipeline.yaml': pipeline });
    const { code, stdout, stderr } = await other.run('repro', '--pull', '-j', '2');
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('0 stages ran, 2 restored, 0 unchanged.\n');
    expect(await other.read('out/made.txt')).toBe('one\n');
    await other.write('in.txt', 'of its own\n');
    expect(await other.ran({ pull: true })).toEqual(['make', 'use']);
  });

  it('without a remote is an error, and runs nothing', async () => {
    const { code, stderr } = await project.run('repro', '--pull');
    expect(code).toBe(2);
    expect(stderr).toContain('error REMOTE_NOT_SET: no remote is named\n');
    expect(await project.read('trace')).toBe('make\nuse\nmake\nuse\n');
  });
});
