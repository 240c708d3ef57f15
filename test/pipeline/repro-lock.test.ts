import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project, until } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': `stages:
  hold: {cmd: "echo >> began; until test -e go; do sleep 0.02; done; echo held > held.txt", outs: [held.txt]}
`,
  });
});

async function startAndWait() {
  const run = project.spawn('repro');
  await until(() => existsSync(join(project.cwd, 'began')));
  return run;
}

describe('two repros in one folder', () => {
  it('the second names the process of the first, and changes nothing', async () => {
    const first = await startAndWait();
    const second = await project.run('repro');
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      `error PIPELINE_LOCKED: \`hndsr repro\` (process ${first.pid}) is at work in this folder\n` +
        '  hint: Wait for it with `hndsr repro --wait`, or stop it first.\n',
    );
    expect((await project.run('status')).code).toBe(0);
    expect((await project.run('repro', '--dry')).code).toBe(0);
    await project.write('go', '');
    expect(await first.ended).toBe(0);
    expect(await project.read('began')).toBe('\n');
  });

  it('the second waits with --wait, and then works on what pipeline.yaml is by then', async () => {
    const first = await startAndWait();
    const second = project.spawn('repro', '--wait');
    await until(() =>
      second.stderr.includes(`warning: waiting for \`hndsr repro\` (process ${first.pid})\n`),
    );
    await project.replace(
      'pipeline.yaml',
      'stages:',
      'stages:\n  new: {cmd: echo new > new.txt, outs: [new.txt]}',
    );
    await project.write('go', '');
    expect(await first.ended).toBe(0);
    expect(await second.ended).toBe(0);
    expect(second.stdout).toBe('1 stage ran, 1 unchanged.\n');
  });

  it('Ctrl-C ends the waiting', async () => {
    const first = await startAndWait();
    const second = project.spawn('repro', '--wait');
    await until(() => second.stderr.includes('waiting for'));
    second.process.kill('SIGINT');
    expect(await second.ended).toBe(130);
    expect(second.stderr).toContain('error INTERRUPTED: waiting for `hndsr repro`');
    await project.write('go', '');
    expect(await first.ended).toBe(0);
  });

  it('one that was killed holds nothing any more, whatever it left', async () => {
    const first = await startAndWait();
    first.process.kill('SIGKILL');
    await first.ended;
    expect(existsSync(join(project.cwd, '.hndsr', 'repro.lock'))).toBe(true);
    await project.write('go', '');
    expect(await project.ran()).toEqual(['hold']);
    expect(existsSync(join(project.cwd, '.hndsr', 'repro.lock'))).toBe(false);
  });

  it('of several at once each runs to its end, one after the other', async () => {
    await project.write('go', '');
    await project.replace('pipeline.yaml', 'outs: [held.txt]', 'outs: [held.txt], always_changed: true');
    await project.replace('pipeline.yaml', 'echo >> began', 'mkdir alone && sleep 0.1 && rmdir alone');
    const runs = Array.from({ length: 3 }, () => project.spawn('repro', '--wait'));
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual([0, 0, 0]);
  });
});
