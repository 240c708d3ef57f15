import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Project, until } from './project.js';

/** Fails until there are as many lines in `tries` as its argument says. */
const TRY = `
echo try >> tries
test -e out.txt && echo "left by the last try" && exit 9
echo half > out.txt
test $(wc -l < tries) -ge $1 || { echo "not yet"; exit 3; }
`;

function projectOf(tries: number, keys: string): Promise<Project> {
  return Project.create({
    'try.sh': TRY,
    'pipeline.yaml': `stages: {fickle: {cmd: sh try.sh ${tries}, outs: [out.txt], ${keys}}}`,
  });
}

describe('retries', () => {
  it('tries again after a failure, each time after twice the delay, from a clean start; the log has every try', async () => {
    const project = await projectOf(3, 'retries: {count: 4, delay: 20ms}');
    const { code, stderr } = await project.run('repro');
    expect(code, stderr).toBe(0);
    const failed = 'stage fickle failed with exit code 3 in `sh try.sh 3`';
    expect(stderr.split('\n').filter((line) => line.startsWith('warning'))).toEqual([
      `warning: ${failed}; try 2 of 5 in 0.02 s`,
      `warning: ${failed}; try 3 of 5 in 0.04 s`,
    ]);
    expect(await project.read('.hndsr/logs/fickle.log')).toBe(
      '$ sh try.sh 3\nnot yet\n# failed with exit code 3 in `sh try.sh 3`\n' +
        '# try 2 of 5\n$ sh try.sh 3\nnot yet\n# failed with exit code 3 in `sh try.sh 3`\n' +
        '# try 3 of 5\n$ sh try.sh 3\n',
    );
    expect(await project.stale()).toEqual({});
  });

  it('gives up after the last, and puts the previous output back', async () => {
    const project = await projectOf(9, 'retries: {count: 2, delay: 1ms}');
    await project.write('out.txt', 'before\n');
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error PIPELINE_STAGE_FAILED: stage `fickle` failed with exit code 3 in `sh try.sh 9`, the last of 3 tries ' +
        '(log: .hndsr/logs/fickle.log); its last lines:\n    not yet\n',
    );
    expect(await project.read('tries')).toBe('try\ntry\ntry\n');
    expect(await project.read('out.txt')).toBe('before\n');
  });

  it('gives each try the whole timeout', async () => {
    const project = await Project.create({
      'pipeline.yaml': `stages:
  slow: {cmd: "echo >> tries; test $(wc -l < tries) -ge 2 || sleep 1000", timeout: 1s, retries: {count: 1, delay: 1ms}}
`,
    });
    const { code, stderr } = await project.run('repro');
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(
      'warning: stage slow was ended after its timeout of 1 s; try 2 of 2 in 0.001 s\n',
    );
  });

  it('are not waited for after Ctrl-C', async () => {
    const project = await projectOf(9, 'retries: {count: 1, delay: 10h}');
    await project.write('out.txt', 'before\n');
    const run = project.spawn('repro');
    await until(() => run.stderr.includes('try 2 of 2 in 36000 s'));
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(run.stderr).toContain('error INTERRUPTED: stage `fickle` was interrupted');
    expect(await project.read('out.txt')).toBe('before\n');
    expect(existsSync(join(project.cwd, '.hndsr', 'tmp', 'stages', 'fickle'))).toBe(false);
  });
});
