import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, it } from 'vitest';
import { Project } from '../pipeline/project.js';

const shipped = (name: string) => readFile(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');

let project: Project;
beforeEach(async () => {
  project = await Project.create({});
});

it('makes a project in a new folder, which the pipeline accepts', async () => {
  const { code, stdout } = await project.run('init', 'new/project', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    directory: join(project.cwd, 'new/project'),
    created: ['params.yaml', 'pipeline.yaml', '.gitignore', 'data/raw'],
  });
  expect(await project.read('new/project/params.yaml')).toBe(await shipped('params.yaml'));
  expect(await project.read('new/project/pipeline.yaml')).toBe(await shipped('pipeline.yaml'));
  expect(await project.read('new/project/.gitignore')).toBe(
    '# What hndsr makes, and the imagery that it reads.\n.hndsr/\ndata/\ncheckpoints/\nreports/\nhndsr-plots/\n',
  );
  expect((await project.run('-C', 'new/project', 'status')).code).toBe(0);
});

it.each(['params.yaml', 'pipeline.yaml'])('does not overwrite %s, and then makes nothing', async (name) => {
  await project.write(name, 'mine');
  const { code, stderr } = await project.run('init');
  expect(code).toBe(1);
  expect(stderr).toContain(
    `error OUTPUT_EXISTS: ${join(project.cwd, name)} exists already: it is not overwritten`,
  );
  expect(await project.read(name)).toBe('mine');
  expect(existsSync(join(project.cwd, 'data'))).toBe(false);
});

it('leaves a .gitignore and imagery that are there', async () => {
  await project.write('.gitignore', 'mine');
  await project.write('data/raw/a.png', 'x');
  const { stdout } = await project.run('init');
  expect(stdout).toContain('made params.yaml, pipeline.yaml\n');
  expect(await project.read('.gitignore')).toBe('mine');
});

it('leaves nothing where it cannot write', async () => {
  await project.write('data', 'a file in the way');
  const { code, stderr } = await project.run('init');
  expect(code).toBe(1);
  expect(stderr).toContain('error OUTPUT_UNWRITABLE: cannot write');
  expect(existsSync(join(project.cwd, 'params.yaml'))).toBe(false);
  await rm(join(project.cwd, 'data'));
  await mkdir(join(project.cwd, 'data'));
  expect((await project.run('init')).code).toBe(0);
});
