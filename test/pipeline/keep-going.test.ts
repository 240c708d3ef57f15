import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': `
stages:
  good: {cmd: echo good > good.txt, outs: [good.txt]}
  bad: {cmd: echo half > bad.txt && exit 3, outs: [bad.txt]}
  after-bad: {cmd: cp bad.txt after-bad.txt, deps: [bad.txt], outs: [after-bad.txt]}
  far-after-bad: {cmd: "true", deps: [after-bad.txt, good.txt]}
  worse: {cmd: echo gone && exit 4, outs: [worse.txt]}
  after-good: {cmd: cp good.txt after-good.txt, deps: [good.txt], outs: [after-good.txt]}
`,
  });
});

describe('a failure', () => {
  it('stops what has not begun', async () => {
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain(
      '[bad] failed\nerror PIPELINE_STAGE_FAILED: stage `bad` failed with exit code 3',
    );
    expect(Object.keys(await project.stale())).toEqual([
      'bad',
      'after-bad',
      'far-after-bad',
      'worse',
      'after-good',
    ]);
  });

  it('with --keep-going stops only what depends on it, and all failures are told', async () => {
    const { code, stderr } = await project.run('repro', '--keep-going');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'warning: not run, since they come after a stage that failed: after-bad, far-after-bad\n' +
        'error PIPELINE_STAGE_FAILED: 2 stages failed:\n' +
        '  stage `bad` failed with exit code 3 in `echo half > bad.txt && exit 3` (log: .hndsr/logs/bad.log); it printed nothing\n' +
        '  stage `worse` failed with exit code 4 in `echo gone && exit 4` (log: .hndsr/logs/worse.log); its last lines:\n' +
        '    gone\n',
    );
    expect(await project.read('after-good.txt')).toBe('good\n');
    await expect(project.read('bad.txt')).rejects.toThrow('ENOENT');
    expect(Object.keys(await project.stale())).toEqual(['bad', 'after-bad', 'far-after-bad', 'worse']);
  });

  it('lets a stage that runs beside it end, and keeps what it made', async () => {
    await project.write(
      'pipeline.yaml',
      `stages:
  slow: {cmd: "until test -e failed; do sleep 0.02; done; sleep 0.2; echo slow > slow.txt", outs: [slow.txt]}
  bad: {cmd: "touch failed; exit 3"}
  never: {cmd: touch never}
`,
    );
    await expect(project.repro({ jobs: 2 })).rejects.toMatchObject({ code: 'PIPELINE_STAGE_FAILED' });
    expect(await project.read('slow.txt')).toBe('slow\n');
    expect(Object.keys(await project.stale())).toEqual(['bad', 'never']);
  });
});
