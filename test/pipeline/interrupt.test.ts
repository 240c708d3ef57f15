import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { isRunning, Project, until } from './project.js';

/** A stage that begins its output, starts two processes, and then stays. */
const STAY = `
const { spawn } = require('node:child_process');
const { mkdirSync, writeFileSync } = require('node:fs');
mkdirSync('out', { recursive: true });
writeFileSync('out/made.txt', 'half');
writeFileSync('pid-stay', String(process.pid));
spawn(process.execPath, ['deaf.cjs', 'unmarked'], { env: {}, stdio: 'ignore' });
spawn(process.execPath, ['deaf.cjs', 'apart'], { detached: true, stdio: 'ignore' });
setInterval(() => {}, 1000);
`;

/** One that does not listen. */
const DEAF = `
const { renameSync, writeFileSync } = require('node:fs');
process.on('SIGINT', () => {});
writeFileSync('tmp-' + process.argv[2], String(process.pid));
renameSync('tmp-' + process.argv[2], 'pid-' + process.argv[2]);
setInterval(() => {}, 1000);
`;

const PIPELINE = `
stages:
  make:
    cmd: test -e quick && { mkdir -p out; cp source.txt out/made.txt; echo 2 > second.txt; } || node stay.cjs
    deps: [source.txt]
    outs: [out, second.txt]
`;

let project: Project;
let lock: string;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'source.txt': 'first\n',
    'stay.cjs': STAY,
    'deaf.cjs': DEAF,
    quick: '',
  });
  await project.repro();
  lock = await project.read('hndsr.lock');
  await rm(join(project.cwd, 'quick'));
  await project.write('source.txt', 'second\n');
});

async function startAndWait() {
  const run = project.spawn('repro');
  const files = ['pid-stay', 'pid-unmarked', 'pid-apart'];
  await until(() => files.every((name) => existsSync(join(project.cwd, name))));
  const pids = (await Promise.all(files.map((name) => project.read(name)))).map(Number);
  expect(await project.read('out/made.txt')).toBe('half');
  return { run, pids };
}

async function expectAsBefore(): Promise<void> {
  expect(await project.read('out/made.txt')).toBe('first\n');
  expect(await project.read('second.txt')).toBe('2\n');
  expect(await project.read('hndsr.lock')).toBe(lock);
  expect((await readdir(project.cwd)).filter((name) => name.endsWith('previous'))).toEqual([]);
  expect(await readdir(join(project.cwd, '.hndsr', 'tmp', 'stages'))).toEqual([]);
}

async function expectMendedByNextRepro(): Promise<void> {
  await project.write('quick', '');
  expect(await project.ran()).toEqual(['make']);
  expect(await project.read('out/made.txt')).toBe('second\n');
  expect(await project.stale()).toEqual({});
}

describe('Ctrl-C', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    '(%s) ends the whole tree, also what does not listen, and puts the outputs back',
    async (signal) => {
      const { run, pids } = await startAndWait();
      run.process.kill(signal);
      expect(await run.ended).toBe(130);
      expect(run.stderr).toMatch(/error INTERRUPTED: .*node stay\.cjs` was interrupted/);
      for (const pid of pids) await until(() => !isRunning(pid));
      await expectAsBefore();
      expect(existsSync(join(project.cwd, '.hndsr', 'repro.lock'))).toBe(false);
      await expectMendedByNextRepro();
    },
  );

  it('pressed twice ends the command at once; the next repro puts the outputs back', async () => {
    const { run, pids } = await startAndWait();
    run.process.kill('SIGINT');
    await until(() => run.stderr.includes('Stopping'));
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
    for (const pid of pids) await until(() => !isRunning(pid));
    await expectMendedByNextRepro();
  });

  it('between stages starts no other', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(project.repro({ signal: controller.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expectAsBefore();
  });
});

describe('kill -9 of repro in the middle of a stage', () => {
  it.runIf(process.platform === 'linux')(
    'leaves what the next repro mends: processes ended, outputs put back, stage run again',
    async () => {
      const { run, pids } = await startAndWait();
      run.process.kill('SIGKILL');
      await run.ended;
      expect(pids.map(isRunning)).toEqual([true, true, true]);
      await project.replace('pipeline.yaml', 'test -e quick', 'test -e never');
      await project.write('stay.cjs', 'console.log("bye"); process.exit(5)');
      const next = await project.run('repro');
      expect(next.stderr).toContain(
        'warning: stage make had been cut off: its previous outputs were put back',
      );
      expect(next.stderr).toContain('failed with exit code 5');
      for (const pid of pids) await until(() => !isRunning(pid));
      await expectAsBefore();
      await project.replace('pipeline.yaml', 'test -e never', 'test -e quick');
      await expectMendedByNextRepro();
    },
  );
});

describe('two repros in one folder', () => {
  it('the second names the process of the first, and changes nothing', async () => {
    const { run } = await startAndWait();
    const second = await project.run('repro');
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      `error PIPELINE_LOCKED: \`hndsr repro\` (process ${run.pid}) is at work in this folder\n` +
        '  hint: Wait for it with `hndsr repro --wait`, or stop it first.\n',
    );
    expect(await project.read('out/made.txt')).toBe('half');
    expect((await project.run('status')).code).toBe(0);
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
  });

  it('takes over from a process that is no more', async () => {
    const gone = spawn('true');
    await new Promise((resolve) => gone.on('close', resolve));
    await project.write('.hndsr/repro.lock', JSON.stringify({ pid: gone.pid, started: '1' }));
    await expectMendedByNextRepro();
  });

  it.runIf(process.platform === 'linux')('takes over when another process has got that id', async () => {
    await project.write('.hndsr/repro.lock', JSON.stringify({ pid: process.pid, started: '1' }));
    await expectMendedByNextRepro();
  });

  it('takes over a lock that its writer did not finish', async () => {
    await project.write('.hndsr/repro.lock', '');
    await expectMendedByNextRepro();
  });
});
