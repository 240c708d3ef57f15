import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { HndsrEvent } from '../../src/events.js';
import { pipelineStatus } from '../../src/pipeline/status.js';
import { Project } from './project.js';

const PARAMS = `seed: 1
data:
  scale: 4
  dead: 2
templated:
  name: x
  list: [1, 2]
  other: 3
gone:
  deep: {one: 1, two: 2}
  more: 3
`;

const PIPELINE = `
stages:
  a:
    cmd: echo \${templated.name} \${templated.list[0]}
    params: [seed, data.scale]
`;

/** The keys that a status warns of. */
async function unread(pipeline: string, params = PARAMS): Promise<string[]> {
  const { cwd } = await Project.create({ 'pipeline.yaml': pipeline, 'params.yaml': params });
  return keysOf(cwd);
}

async function keysOf(cwd: string): Promise<string[]> {
  const events: HndsrEvent[] = [];
  await pipelineStatus({ cwd }, { emit: (event) => events.push(event), interrupted: () => false });
  return events.flatMap((event) => (event.kind === 'message' && event.key !== undefined ? event.key : []));
}

describe('a key of params.yaml that nothing reads', () => {
  it('is a warning of status and repro, with its place; a section that nothing reads is told as one', async () => {
    const project = await Project.create({ 'pipeline.yaml': PIPELINE, 'params.yaml': PARAMS });
    for (const verb of ['status', 'repro', 'status']) {
      const { code, stderr } = await project.run(verb);
      expect(code).toBe(0);
      expect(stderr.split('\n').filter((line) => line.startsWith('warning'))).toEqual([
        'warning: params.yaml:4:3: no stage and no command reads `data.dead`: remove it, or select it under `params` of a stage in pipeline.yaml',
        expect.stringContaining('params.yaml:8:3: no stage and no command reads `templated.other`'),
        expect.stringContaining('params.yaml:9:1: no stage and no command reads `gone`'),
      ]);
    }
    const { stderr } = await project.run('status', '--json');
    expect(
      stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))[0],
    ).toMatchObject({
      kind: 'message',
      level: 'warning',
      code: 'PARAM_UNREAD',
      key: 'data.dead',
      location: { file: 'params.yaml', line: 4, column: 3 },
    });
  });

  it('is forgotten when the pipeline comes to read it', async () => {
    const project = await Project.create({ 'pipeline.yaml': PIPELINE, 'params.yaml': PARAMS });
    expect(await keysOf(project.cwd)).toEqual(['data.dead', 'templated.other', 'gone']);
    await project.replace('pipeline.yaml', 'data.scale', 'data, gone.deep');
    expect(await keysOf(project.cwd)).toEqual(['templated.other', 'gone.more']);
  });

  it.each([
    ['a stage that depends on the file', 'stages: {a: {cmd: x, deps: [params.yaml]}}'],
    ['a stage that selects all of the file', 'stages: {a: {cmd: x, params: [params.yaml: ]}}'],
  ])('is none for %s', async (_what, pipeline) => {
    expect(await unread(pipeline)).toEqual([]);
  });

  it('is none of those that hndsr knows, where a stage runs hndsr, and only there', async () => {
    const own =
      'seed: 1\ntraining: {cache_bytes: 1, old: 2}\nregistry: {gates: {production: {metrics: {psnr: {min: 1, mni: 2}}}}}\n';
    expect(await unread('stages: {a: {cmd: hndsr train --stage all}}', own)).toEqual([
      'training.old',
      'registry.gates.production.metrics.psnr.mni',
    ]);
    expect(await unread('stages: {a: {cmd: echo hndsrx}}', own)).toEqual(['seed', 'training', 'registry']);
  });

  it('is not in a project as hndsr starts it', async () => {
    const { cwd } = await Project.create({});
    for (const name of ['pipeline.yaml', 'params.yaml']) {
      await cp(fileURLToPath(new URL(`../../${name}`, import.meta.url)), join(cwd, name));
    }
    expect(await keysOf(cwd)).toEqual([]);
  });
});
