import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { isRunning, Project, processesIn, until } from './project.js';

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

  it('ends all stages that run side by side, and leaves those that had ended', async () => {
    await project.write(
      'pipeline.yaml',
      `stages:
  done: {cmd: echo done > done.txt, outs: [done.txt]}
  one: {cmd: "mkdir one; echo $$ > one/pid; sleep 1000", outs: [one]}
  two: {cmd: "mkdir two; echo $$ > two/pid; sleep 1000", outs: [two]}
  later: {cmd: "true", deps: [one]}
`,
    );
    const run = project.spawn('repro', '-j', '2', '--keep-going');
    await until(() => ['one/pid', 'two/pid'].every((name) => existsSync(join(project.cwd, name))));
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(run.stderr).toMatch(/error INTERRUPTED: /);
    if (process.platform === 'linux') expect(await processesIn(project.cwd)).toEqual([]);
    expect(existsSync(join(project.cwd, 'one'))).toBe(false);
    expect(existsSync(join(project.cwd, 'two'))).toBe(false);
    expect(Object.keys(await project.stale())).toEqual(['one', 'two', 'later']);
  });

  it('gives a stage its own grace to end by itself', async () => {
    await project.write(
      'tidy.cjs',
      `process.on('SIGINT', () => setTimeout(() => { require('node:fs').writeFileSync('tidied', ''); process.exit(); }, 300));
require('node:fs').writeFileSync('pid-tidy', '');
setInterval(() => {}, 1000);`,
    );
    await project.write('pipeline.yaml', 'stages: {tidy: {cmd: exec node tidy.cjs, grace: 50s}}');
    const run = project.spawn('repro');
    await until(() => existsSync(join(project.cwd, 'pid-tidy')));
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(existsSync(join(project.cwd, 'tidied'))).toBe(true);
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
