import { describe, expect, it } from 'vitest';
import { Project } from './project.js';

/** Says that it is here and waits for the others, so it only ever ends where they run at the same time. */
const MEET = `
const { existsSync, writeFileSync } = require('node:fs');
const [self, ...others] = process.argv.slice(2);
writeFileSync(self + '.here', '');
const timer = setInterval(() => {
  if (!others.every((name) => existsSync(name + '.here'))) return;
  clearInterval(timer);
  console.log('met by ' + self);
}, 10);
`;

/** Notes when it begins and ends. */
const traced = (name: string): string => `echo + ${name} >> trace; sleep 0.1; echo - ${name} >> trace`;

/** The largest number of stages of `names` that were at work at once. */
async function mostAtOnce(project: Project, names?: string[]): Promise<number> {
  let [running, most] = [0, 0];
  for (const line of (await project.read('trace')).trim().split('\n')) {
    const [sign, name] = line.split(' ') as [string, string];
    if (names !== undefined && !names.includes(name)) continue;
    running += sign === '+' ? 1 : -1;
    most = Math.max(most, running);
  }
  expect(running).toBe(0);
  return most;
}

describe('repro -j', () => {
  it('runs stages side by side, tells whose line is whose, and keeps a log of each', async () => {
    const project = await Project.create({
      'meet.cjs': MEET,
      'pipeline.yaml': `
stages:
  one: {cmd: node meet.cjs one two three, outs: [one.here]}
  two: {cmd: node meet.cjs two one three, outs: [two.here]}
  three: {cmd: node meet.cjs three one two, outs: [three.here]}
  last: {cmd: "cat one.here two.here three.here > last", deps: [one.here, two.here, three.here], outs: [last]}
`,
    });
    const { code, stderr, stdout } = await project.run('repro', '-j', '3');
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('4 stages ran, 0 unchanged.\n');
    const lines = stderr.trim().split('\n');
    expect(lines.slice(0, 3).sort()).toEqual(
      ['one', 'three', 'two'].map((name) => `[${name}] running: never run`),
    );
    for (const name of ['one', 'two', 'three']) {
      expect(lines).toContain(`[${name}] met by ${name}`);
      const log = await project.read(`.hndsr/logs/${name}.log`);
      expect(log).toMatch(new RegExp(`^\\$ node meet\\.cjs ${name} .*\\nmet by ${name}\\n$`));
    }
    expect(lines.findIndex((line) => line.startsWith('[last] running'))).toBe(lines.length - 2);
    expect(await project.stale()).toEqual({});
  });

  it('is one stage at a time without it, in the order of pipeline.yaml', async () => {
    const project = await Project.create({
      'pipeline.yaml': `
stages:
  b: {cmd: "${traced('b')}"}
  a: {cmd: "${traced('a')}"}
  c: {cmd: "${traced('c')}"}
`,
    });
    await project.repro();
    expect(await project.read('trace')).toBe('+ b\n- b\n+ a\n- a\n+ c\n- c\n');
  });

  it('has room for as many slots, GPUs and holders of a mutex as there are', async () => {
    const stage = (name: string, keys: string): string => `  ${name}: {cmd: "${traced(name)}", ${keys}}\n`;
    const stages = [
      stage('wide', 'resources: {slots: 3}'),
      ...['s1', 's2', 's3', 's4'].map((name) => stage(name, 'desc: of one slot')),
      ...['g1', 'g2'].map((name) => stage(name, 'resources: {gpu: 1}')),
      ...['m1', 'm2'].map((name) => stage(name, 'mutex: database')),
      stage('both', 'mutex: [database, port], resources: {gpu: 1}'),
      stage('port', 'mutex: port'),
    ];
    const project = await Project.create({ 'pipeline.yaml': `stages:\n${stages.join('')}` });
    await project.repro({ jobs: 3 });
    expect(await mostAtOnce(project)).toBeLessThanOrEqual(3);
    expect(await mostAtOnce(project, ['g1', 'g2', 'both'])).toBe(1);
    expect(await mostAtOnce(project, ['m1', 'm2', 'both'])).toBe(1);
    expect(await mostAtOnce(project, ['port', 'both'])).toBe(1);
    // It takes all slots: nothing else begins before it ends.
    const trace = (await project.read('trace')).split('\n');
    expect(trace[trace.indexOf('+ wide') + 1]).toBe('- wide');
  });

  it('gives more GPUs out when told of them, and refuses a stage that needs more than there are', async () => {
    const project = await Project.create({
      'meet.cjs': MEET,
      'pipeline.yaml': `stages:
  one: {cmd: node meet.cjs one two, resources: {gpu: 1}}
  two: {cmd: node meet.cjs two one, resources: {gpu: 1}}
`,
    });
    expect((await project.run('repro', '-j', '2', '--gpus', '2')).code).toBe(0);
    await project.replace('pipeline.yaml', 'gpu: 1', 'gpu: 3');
    const { code, stderr } = await project.run('repro', '-j', '2', '--gpus', '2');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error USAGE: stage `one` needs 3 GPUs, and repro was given 2\n {2}at pipeline\.yaml:2:\d+\n/,
    );
    expect(stderr).toContain('hint: Run `hndsr repro --gpus 3` if this machine has them.');
  });

  it('keeps the lock entry of every stage, also of those that end at the same moment', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    const stages = names.map((name) => `  ${name}: {cmd: echo ${name} > ${name}.txt, outs: [${name}.txt]}\n`);
    const project = await Project.create({ 'pipeline.yaml': `stages:\n${stages.join('')}` });
    const { code, stdout, stderr } = await project.run('repro', '-j', '12');
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('12 stages ran, 0 unchanged.\n');
    expect(stderr).not.toContain('Warning');
    expect(await project.stale()).toEqual({});
  });
});
