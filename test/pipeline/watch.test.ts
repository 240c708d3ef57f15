import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Project, type Run, until } from './project.js';

const ROUND = 'Watching for changes; Ctrl-C ends.\n';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'in/a.txt': 'one\n',
    'params.yaml': 'suffix: x\n',
    'pipeline.yaml': `
stages:
  copy: {cmd: "echo copy >> trace; cat in/*.txt > in/made", deps: [in/a.txt], params: [suffix], outs: [in/made]}
  use: {cmd: "echo use >> trace; cp in/made use.txt", deps: [in], outs: [use.txt]}
`,
  });
});

/** Starts a watch and waits until it has done its first round. */
async function watch(...words: string[]): Promise<Run> {
  const run = project.spawn('repro', '--watch', ...words);
  onTestFinished(() => void run.process.kill('SIGKILL'));
  await until(() => run.stderr.endsWith(ROUND));
  return run;
}

/** Changes a file in one step, as editors do. */
async function put(path: string, text: string): Promise<void> {
  await project.write('put.tmp', text);
  await rename(join(project.cwd, 'put.tmp'), join(project.cwd, path));
}

/** Waits for the stages that have run so far. */
async function ran(...stages: string[]): Promise<void> {
  await until(async () => (await project.read('trace')) === stages.map((stage) => `${stage}\n`).join(''));
}

/** Waits until nothing has happened for a second. */
async function quiet(run: Run): Promise<void> {
  await until(() => run.stderr.endsWith(ROUND));
  for (let told = ''; told !== run.stderr; await sleep(1000)) told = run.stderr;
}

async function end(run: Run): Promise<void> {
  await quiet(run);
  run.process.kill('SIGINT');
  expect(await run.ended).toBe(0);
}

describe('repro --watch', () => {
  it('runs again when a dependency or a params file changes, not for what stages make', async () => {
    const run = await watch();
    await ran('copy', 'use');
    await put('in/a.txt', 'two\n');
    await ran('copy', 'use', 'copy', 'use');
    await put('params.yaml', 'suffix: y\n');
    await ran('copy', 'use', 'copy', 'use', 'copy');
    await until(() => run.stderr.endsWith(ROUND));
    await put('in/b.txt', 'three\n');
    await ran('copy', 'use', 'copy', 'use', 'copy', 'use');
    await quiet(run);
    const told = run.stderr;
    await put('in/made', await project.read('in/made'));
    await put('use.txt', 'by hand\n');
    await put('unread.txt', '');
    await end(run);
    expect(run.stderr.replace(/warning: Stopping.*\n/, '')).toBe(told);
  });

  it('watches only what the named stages depend on', async () => {
    const run = await watch('copy');
    await put('in/b.txt', 'b\n');
    await put('in/a.txt', 'two\n');
    await ran('copy', 'copy');
    await end(run);
    expect(run.stderr).not.toContain('use');
  });

  it('goes on after a failure and after a pipeline.yaml that is wrong', async () => {
    const run = await watch();
    const good = await project.read('pipeline.yaml');
    await put('pipeline.yaml', 'stages: {a: {comand: x}}');
    await until(() => run.stderr.includes('error CONFIG_INVALID'));
    await put('pipeline.yaml', good.replace('cp in/made', 'exit 5; cp in/made'));
    await until(() => run.stderr.includes('failed with exit code 5'));
    await put('pipeline.yaml', good);
    await put('in/a.txt', 'after\n');
    await until(async () => (await project.read('use.txt').catch(() => '')) === 'after\n');
    await end(run);
  });

  it('does not miss a change while stages run, and Ctrl-C then ends them', async () => {
    await put(
      'pipeline.yaml',
      'stages: {a: {cmd: "until test -e go; do sleep 0.02; done; cp in/a.txt out.txt", deps: [in/a.txt], outs: [out.txt]}}',
    );
    const run = project.spawn('repro', '--watch');
    onTestFinished(() => void run.process.kill('SIGKILL'));
    await until(() => run.stderr.includes('[a] running: never run'));
    await put('in/a.txt', 'two\n');
    await project.write('go', '');
    await until(() => run.stderr.includes('[a] running: dependency in/a.txt changed'));
    await until(() => run.stderr.endsWith(ROUND));
    expect(await project.read('out.txt')).toBe('two\n');
    await put('pipeline.yaml', 'stages: {b: {cmd: echo at it; sleep 1000}}');
    await until(() => run.stderr.includes('[b] at it'));
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
  });
});

it('repro --watch --dry is refused', async () => {
  const { code, stderr } = await project.run('repro', '--watch', '--dry');
  expect(code).toBe(2);
  expect(stderr).toContain("option '--watch' cannot be used with option '--dry'");
});
