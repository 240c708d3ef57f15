import { readdirSync } from 'node:fs';
import { rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it, vi } from 'vitest';
import { Project, temporaryFolder } from './project.js';

/** Whole processes, since what is remembered is for the next one. */
let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': `
vars: [more.yaml]
stages:
  make: {cmd: "echo \${word} \${size} > made", params: [size], deps: [data], outs: [made]}
`,
    'params.yaml': 'size: 1\n',
    'more.yaml': 'word: hello\n',
    'data/a': 'a',
  });
  expect((await project.run('repro')).code).toBe(0);
  expect((await project.run('status')).stdout).toBe('make: up to date\n');
});

const reasons = async (): Promise<string> => (await project.run('status')).stdout;

it('a pipeline.yaml that changed is read again', async () => {
  await project.replace('pipeline.yaml', 'echo', 'printf');
  expect(await reasons()).toContain('command changed from `echo hello 1 > made` to `printf hello 1 > made`');
});

it('so it is when a file that its templates name changed', async () => {
  await project.write('more.yaml', 'word: bye\n');
  expect(await reasons()).toContain('command changed from `echo hello 1 > made` to `echo bye 1 > made`');
  await project.write('more.yaml', 'word: hello\n');
  await project.write('params.yaml', 'size: 2\n');
  expect(await reasons()).toContain('command changed from `echo hello 1 > made` to `echo hello 2 > made`');
});

it('an hndsr.lock that changed is read again', async () => {
  await project.replace('hndsr.lock', 'echo hello', 'echo other');
  expect(await reasons()).toContain('command changed from `echo other 1 > made`');
  await rm(join(project.cwd, 'hndsr.lock'));
  expect(await reasons()).toContain('never run');
});

it('a mistake is told with its place, also in a file that was right before', async () => {
  const text = await project.read('pipeline.yaml');
  await project.write('pipeline.yaml', text.replace('outs:', 'outz:'));
  const { code, stderr } = await project.run('status');
  expect(code).toBe(2);
  expect(stderr).toMatch(/CONFIG_UNKNOWN_KEY[\s\S]*at pipeline\.yaml:4:/);
  // A file as it was, and a param that went: the place in pipeline.yaml is still known.
  await project.write('pipeline.yaml', text.replace(' ${size}', ''));
  expect((await project.run('status')).code).toBe(0);
  await project.write('params.yaml', 'other: 1\n');
  expect((await project.run('status')).stderr).toMatch(/selects `size`[\s\S]*at pipeline\.yaml:4:\d+/);
});

it('a folder is looked at again when a file in it comes, goes or changes', async () => {
  const earlier = new Date(Date.now() - 60_000);
  await utimes(join(project.cwd, 'data/a'), earlier, earlier);
  expect(await reasons()).toBe('make: up to date\n');
  await project.write('data/b', 'b');
  expect(await reasons()).toContain('dependency data changed');
  await rm(join(project.cwd, 'data/b'));
  expect(await reasons()).toBe('make: up to date\n');
  await project.write('data/a', 'b');
  expect(await reasons()).toContain('dependency data changed');
});

it('files that are worth threads get the same hashes as others', async () => {
  // 80 MB in files of many sizes: with what is remembered removed, they are hashed on threads.
  for (let index = 0; index < 20; index++) {
    const path = join(project.cwd, 'data', `file-${index}`);
    await writeFile(path, `beginning ${index}`);
    await truncate(path, index * 420_000);
  }
  expect((await project.run('repro')).code).toBe(0);
  const lock = await project.read('hndsr.lock');
  await rm(join(project.cwd, '.hndsr/pipeline.db'));
  expect(await reasons()).toBe('make: up to date\n');
  for (let index = 0; index < 20; index++) await rm(join(project.cwd, 'data', `file-${index}`));
  expect(await reasons()).toContain('dependency data changed');
  expect(lock).toContain('files: 21');
});

it('a folder that is no project gets no files', async () => {
  const cwd = await temporaryFolder();
  const { code } = await project.run('-C', cwd, 'status');
  expect(code).toBe(2);
  expect(readdirSync(cwd)).toEqual([]);
});

/** What takes 30 to 1000 ms to load. */
const HEAVY = /node_modules\/(yaml|zod|ora|execa|sharp|@tensorflow\/[\w-]+|onnxruntime-node|apache-arrow)\//g;

it.each(['status', 'repro'])(
  '%s of what is up to date loads no library that it can do without',
  async (verb) => {
    expect((await project.run(verb)).code).toBe(0);
    vi.stubEnv('NODE_DEBUG', 'esm,module');
    const { code, stderr } = await project.run(verb);
    vi.unstubAllEnvs();
    expect(code).toBe(0);
    expect(stderr).toContain('node_modules/better-sqlite3/');
    expect(stderr.match(HEAVY) ?? []).toEqual([]);
  },
);
