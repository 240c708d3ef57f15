import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { Project, processesIn } from './project.js';

const MOMENTS = 50;

/** Projects that are worked on at once: a pipeline mostly waits. */
const SIDE_BY_SIDE = 5;

/**
 * Two stages side by side that make their outputs piece by piece, each in processes of its own, and one of both. The
 * history grows by one line with each input, and shows a run that counted twice or not at all.
 */
const PIPELINE = `
stages:
  folder:
    cmd: "mkdir folder; for i in 1 2 3; do cat in.txt > folder/$i; sleep 0.05 & wait; done"
    deps: [in.txt]
    outs: [folder]
  history:
    cmd: "cat in.txt >> history.txt; (sleep 0.1); echo of >> history.txt; wc -l < in.txt > count.txt"
    deps: [in.txt]
    outs: [history.txt: {persist: true}]
    metrics: [count.txt: {cache: false}]
  both:
    cmd: "cat folder/* count.txt > both.txt; sleep 0.05"
    deps: [folder, count.txt]
    outs: [both.txt]
`;

const input = (round: number): string => `input ${round}\n`.repeat(1 + (round % 3));

/** What a clean run makes of the inputs up to this round. */
function expectedFiles(round: number): Record<string, string> {
  const lines = 1 + (round % 3);
  const rounds = Array.from({ length: round + 1 }, (_, index) => index);
  return {
    'in.txt': input(round),
    'folder/1': input(round),
    'folder/2': input(round),
    'folder/3': input(round),
    'count.txt': `${lines}\n`,
    'history.txt': rounds.map((earlier) => `${input(earlier)}of\n`).join(''),
    'both.txt': `${input(round).repeat(3)}${lines}\n`,
  };
}

/** Every file of the project but its state, lock and pipeline. */
async function filesOf({ cwd }: Project): Promise<Record<string, string>> {
  const entries = await readdir(cwd, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  const names = paths.map((path) => relative(cwd, path)).filter((name) => !name.startsWith('.hndsr'));
  const kept = names.filter((name) => name !== 'hndsr.lock' && name !== 'pipeline.yaml');
  return Object.fromEntries(kept.map((name) => [name, readFileSync(join(cwd, name), 'utf8')]));
}

/** Objects whose bytes are not those that their name promises. */
function damagedObjects({ cwd }: Project): string[] {
  const entries = readdirSync(join(cwd, '.hndsr', 'objects'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(0);
  return files.filter((path) => {
    const name = relative(join(cwd, '.hndsr', 'objects'), path).replaceAll('/', '');
    return createHash('sha256').update(readFileSync(path)).digest('hex') !== name;
  });
}

async function reproTo(project: Project): Promise<void> {
  const { code, stderr } = await project.run('repro', '-j', '2');
  expect(code, stderr).toBe(0);
}

/** Kills a `repro` after that share of a clean run's time, runs another, and looks at all that is there then. */
async function crashAt(moment: number, project: Project, round: number, cleanRun: number): Promise<boolean> {
  await project.write('in.txt', input(round));
  const run = project.spawn('repro', '-j', '2');
  await Promise.race([run.ended, sleep(moment * cleanRun)]);
  run.process.kill('SIGKILL');
  await run.ended;
  const stages = join(project.cwd, '.hndsr', 'tmp', 'stages');
  const cutOff = existsSync(stages) && readdirSync(stages).length > 0;
  await reproTo(project);
  const at = `killed at ${moment} of a clean run`;
  expect(await filesOf(project), at).toEqual(expectedFiles(round));
  expect(await project.stale(), at).toEqual({});
  expect(readdirSync(stages), at).toEqual([]);
  expect(damagedObjects(project), at).toEqual([]);
  expect(await processesIn(project.cwd), at).toEqual([]);
  return cutOff;
}

describe.runIf(process.platform === 'linux')('kill -9 of repro', () => {
  it(`at any of ${MOMENTS} moments leaves what the next repro makes into what a clean run would have`, {
    timeout: 600_000,
  }, async () => {
    const random = Random.from(7, 'crash');
    const moments = Array.from({ length: MOMENTS }, () => random.uniform());
    const perProject = MOMENTS / SIDE_BY_SIDE;
    const crashed = Array.from({ length: SIDE_BY_SIDE }, async (_, index) => {
      const project = await Project.create({ 'pipeline.yaml': PIPELINE, 'in.txt': input(0) });
      const began = performance.now();
      await reproTo(project);
      const cleanRun = performance.now() - began;
      let cutOff = 0;
      for (let round = 1; round <= perProject; round++) {
        const moment = moments[index * perProject + round - 1]!;
        if (await crashAt(moment, project, round, cleanRun)) cutOff++;
      }
      return cutOff;
    });
    const cutOff = (await Promise.all(crashed)).reduce((total, count) => total + count, 0);
    // Not all moments were before or after the stages.
    expect(cutOff).toBeGreaterThan(0);
  });
});
