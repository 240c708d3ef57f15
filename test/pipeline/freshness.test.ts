import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

const PIPELINE = `
stages:
  make:
    cmd: cat source/*.txt > made.txt
    deps: [source]
    params: [size, model.width]
    outs: [made.txt]
  use:
    cmd: tr a-z A-Z < made.txt > used.txt
    deps: [made.txt]
    outs: [used.txt]
`;

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'params.yaml': 'size: {tile: 64, crop: 8}\nmodel: {width: 16, depth: 2}\nother: 1\n',
    'source/a.txt': 'one\n',
    'source/deep/b.txt': 'not read\n',
  });
});

describe('before the first run', () => {
  it('tells that a stage never ran', async () => {
    expect(await project.stale()).toEqual({ make: ['never run'], use: ['never run'] });
  });

  it('tells that a dependency which no stage makes is missing', async () => {
    await rm(join(project.cwd, 'source'), { recursive: true });
    expect((await project.stale()).make).toEqual(['dependency source missing', 'never run']);
  });
});

describe('after a run', () => {
  beforeEach(async () => {
    expect(await project.ran()).toEqual(['make', 'use']);
    expect(await project.read('used.txt')).toBe('ONE\n');
  });

  const expectStale = async (reason: string): Promise<void> => {
    expect(await project.stale()).toEqual({ make: [reason], use: ['upstream stage make will run'] });
    expect(await project.ran({ runCache: false })).toContain('make');
    expect(await project.stale()).toEqual({});
  };

  it('does nothing', async () => {
    expect(await project.stale()).toEqual({});
    expect(await project.ran()).toEqual([]);
  });

  it('does nothing when a file was written again with the same content', async () => {
    await project.write('source/a.txt', 'one\n');
    expect(await project.ran()).toEqual([]);
  });

  it('does nothing when a param that no stage selects changed', async () => {
    await project.replace('params.yaml', 'other: 1', 'other: 2');
    await project.replace('params.yaml', 'depth: 2', 'depth: 3');
    expect(await project.ran()).toEqual([]);
  });

  it('does nothing when pipeline.yaml only reads differently', async () => {
    await project.replace('pipeline.yaml', 'params: [size, model.width]', 'params: [model.width, size]');
    await project.replace(
      'pipeline.yaml',
      'outs: [made.txt]',
      'metrics: [made.txt: {cache: false}]\n    desc: x',
    );
    expect(await project.stale()).toEqual({});
  });

  it('sees a changed command', async () => {
    await project.replace('pipeline.yaml', 'cat source', 'cat  source');
    await expectStale('command changed from `cat source/*.txt > made.txt` to `cat  source/*.txt > made.txt`');
  });

  it('sees a changed file, deep in a folder', async () => {
    await project.write('source/deep/b.txt', 'changed.\n');
    await expectStale('dependency source changed');
  });

  it('sees a file that was added to a folder', async () => {
    await project.write('source/deep/c.txt', '');
    await expectStale('dependency source changed');
  });

  it('sees a file that was taken from a folder', async () => {
    await rm(join(project.cwd, 'source/deep/b.txt'));
    await expectStale('dependency source changed');
  });

  it('sees a file that got another name', async () => {
    await project.write('source/deep/c.txt', 'not read\n');
    await rm(join(project.cwd, 'source/deep/b.txt'));
    await expectStale('dependency source changed');
  });

  it('sees a dependency that was added to the list', async () => {
    await project.write('more.txt', '');
    await project.replace('pipeline.yaml', 'deps: [source]', 'deps: [source, more.txt]');
    await expectStale('dependency more.txt added');
  });

  it('sees a dependency that was removed from the list', async () => {
    await project.replace('pipeline.yaml', 'deps: [source]', 'deps: []');
    await expectStale('dependency source removed');
  });

  it('sees a param of a section, and both its values', async () => {
    await project.replace('params.yaml', 'tile: 64', 'tile: 128');
    await expectStale('param size.tile changed from 64 to 128');
  });

  it('sees a param that came to a section, and one that went', async () => {
    await project.replace('params.yaml', 'crop: 8', 'step: 8');
    expect((await project.stale()).make).toEqual(['param size.crop removed', 'param size.step added']);
  });

  it('sees a param that was added to the list, and one removed', async () => {
    await project.replace('pipeline.yaml', 'params: [size, model.width]', 'params: [size, other]');
    expect((await project.stale()).make).toEqual(['param other added', 'param model.width removed']);
  });

  it('tells a number from text', async () => {
    await project.replace('params.yaml', 'width: 16', 'width: "16"');
    await expectStale('param model.width changed from 16 to "16"');
  });

  it('sees a missing output', async () => {
    await rm(join(project.cwd, 'made.txt'));
    await expectStale('output made.txt missing');
  });

  it('sees a changed output', async () => {
    await project.write('made.txt', 'edited');
    expect(await project.stale()).toEqual({
      make: ['output made.txt changed'],
      use: ['upstream stage make will run', 'dependency made.txt changed'],
    });
  });

  it('sees an output that was added to the list', async () => {
    await project.replace('pipeline.yaml', 'outs: [made.txt]', 'outs: [made.txt, log.txt]');
    await project.write('log.txt', '');
    expect((await project.stale()).make).toEqual(['output log.txt added']);
  });

  it('sees an entry of hndsr.lock that was edited', async () => {
    const lock = await project.read('hndsr.lock');
    await project.write('hndsr.lock', lock.replace(/fingerprint: [0-9a-f]{4}/, 'fingerprint: 0000'));
    expect(Object.values(await project.stale())[0]).toEqual([
      'its entry in hndsr.lock was edited, or written by another version',
    ]);
  });

  it('skips a stage whose upstream stage made the same again', async () => {
    await project.write('source/deep/b.txt', 'read by no command\n');
    expect(await project.ran()).toEqual(['make']);
  });

  it('always runs a stage that is always_changed, and what follows only if its output changed', async () => {
    await project.replace('pipeline.yaml', 'outs: [made.txt]', 'outs: [made.txt]\n    always_changed: true');
    expect((await project.stale()).make).toEqual(['always_changed is set']);
    expect(await project.ran()).toEqual(['make']);
    expect(await project.ran()).toEqual(['make']);
  });

  it('does not look at the dependencies and params of a frozen stage', async () => {
    await project.replace('pipeline.yaml', 'outs: [made.txt]', 'outs: [made.txt]\n    frozen: true');
    await project.write('source/a.txt', 'two\n');
    await project.replace('params.yaml', 'tile: 64', 'tile: 128');
    expect(await project.stale()).toEqual({});
    await rm(join(project.cwd, 'made.txt'));
    expect(await project.ran()).toEqual(['make', 'use']);
    expect(await project.read('used.txt')).toBe('TWO\n');
  });

  it('hashes everything anew when the cache of hashes is damaged', async () => {
    await project.write(
      '.hndsr/pipeline.db',
      'this is no database, and longer than a header of one is'.repeat(20),
    );
    expect(await project.stale()).toEqual({});
    await project.write('source/a.txt', 'two\n');
    expect(await project.ran()).toEqual(['make', 'use']);
  });
});

it('runs no stage when a param of a later one is not in params.yaml, and names the place', async () => {
  await project.replace('pipeline.yaml', 'deps: [made.txt]', 'deps: [made.txt]\n    params: [model.widht]');
  const { code, stderr } = await project.run('repro');
  expect(code).toBe(2);
  expect(stderr).toContain(
    'pipeline.yaml: stage `use` selects `model.widht`, which params.yaml does not have\n  at pipeline.yaml:11:14',
  );
  await expect(project.read('made.txt')).rejects.toThrow('ENOENT');
});

it('runs no stage when the source of a later one is missing', async () => {
  await project.replace('pipeline.yaml', 'deps: [made.txt]', 'deps: [made.txt, weights.bin]');
  await expect(project.repro()).rejects.toMatchObject({
    code: 'PIPELINE_DEPENDENCY_MISSING',
    message: 'stage `use` depends on weights.bin, which is not there',
    location: { file: 'pipeline.yaml', line: 10, column: 22 },
  });
  await expect(project.read('made.txt')).rejects.toThrow('ENOENT');
});

it('says how to mend an hndsr.lock with conflict markers', async () => {
  await project.write(
    'hndsr.lock',
    'version: 1\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {}\n>>>>>>> other\n',
  );
  const { code, stderr } = await project.run('status');
  expect(code).toBe(2);
  expect(stderr).toMatch(/error CONFIG_SYNTAX: hndsr\.lock is not valid YAML[\s\S]*at hndsr\.lock:\d+:\d+/);
  expect(stderr).toContain('Take hndsr.lock from version control again, or delete it');
});
