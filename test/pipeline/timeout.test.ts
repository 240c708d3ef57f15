import { describe, expect, it } from 'vitest';
import { Project, processesIn } from './project.js';

describe('timeout', () => {
  it('ends the whole tree, also what does not listen; the previous output comes back', async () => {
    const project = await Project.create({
      'deaf.cjs': "process.on('SIGINT', () => {}); setInterval(() => {}, 1000);",
      'pipeline.yaml': `stages:
  slow: {cmd: "echo half > out.txt; echo at it; node deaf.cjs & node deaf.cjs", outs: [out.txt], timeout: 1s, grace: 100ms}
`,
      'out.txt': 'before\n',
    });
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error PIPELINE_STAGE_TIMEOUT: stage `slow` was ended after its timeout of 1 s (log: .hndsr/logs/slow.log); ' +
        'its last lines:\n    at it\n' +
        '  hint: Its previous outputs were put back. Make it faster or its `timeout` longer, and run `hndsr repro` again.\n',
    );
    expect(await project.read('.hndsr/logs/slow.log')).toMatch(/\n# was ended after its timeout of 1 s\n$/);
    if (process.platform === 'linux') expect(await processesIn(project.cwd)).toEqual([]);
    expect(await project.read('out.txt')).toBe('before\n');
    expect(await project.stale()).toEqual({ slow: ['never run'] });
  });

  it('counts over all commands of a stage, and leaves one alone that is within it', async () => {
    const project = await Project.create({
      'pipeline.yaml': 'stages: {quick: {cmd: ["true", "echo x > out.txt"], outs: [out.txt], timeout: 100d}}',
    });
    expect(await project.ran()).toEqual(['quick']);
    await project.write('pipeline.yaml', 'stages: {two: {cmd: [sleep 0.6, sleep 1000], timeout: 1s}}');
    await expect(project.repro()).rejects.toMatchObject({ code: 'PIPELINE_STAGE_TIMEOUT' });
  });
});
