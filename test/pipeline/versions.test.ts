import { beforeEach, describe, expect, it } from 'vitest';
import { diffMetrics } from '../../src/pipeline/metrics.js';
import { diffParams } from '../../src/pipeline/params-diff.js';
import { Project } from './project.js';

const PIPELINE = `
stages:
  score:
    cmd: cp scores.json made.json && cp scores.json committed.json && mkdir -p folder && cp scores.json folder/deep.json
    deps: [scores.json]
    params: [rate, other.json: [deep.value]]
    outs: [folder]
    metrics:
      - made.json
      - committed.json: {cache: false}
`;

let project: Project;
const git = (...words: string[]): void => project.git(...words);

beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'params.yaml': 'rate: 0.1\ntext: one\nsection: {gone: 1, list: [1, 2]}\n',
    'other.json': '{"deep": {"value": 1}}',
    'scores.json':
      '{"psnr": 25.1, "by": {"class": {"sea": 30, "land": 20}}, "each": [1, 2], "note": "first"}',
    '.gitignore': '.hndsr\nmade.json\nfolder\n',
  });
  await project.repro();
  project.commitFirst();
  git('tag', 'v1');
});

describe('params diff', () => {
  it('lists what changed since a commit, in every params file, and nothing else', async () => {
    expect((await project.run('params', 'diff')).stdout).toBe('No param differs.\n');
    await project.write('params.yaml', 'rate: 0.2\ntext: one\nsection: {list: [1, 2, 3], new: true}\n');
    await project.write('other.json', '{"deep": {"value": 2}}');
    const { code, stdout } = await project.run('params', 'diff');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'file         param         HEAD   workspace',
      'params.yaml  rate          0.1    0.2',
      'params.yaml  section.gone  1      -',
      'params.yaml  section.list  [1,2]  [1,2,3]',
      'params.yaml  section.new   -      true',
      'other.json   deep.value    1      2',
      '',
    ]);
    git('commit', '-qam', 'second');
    const changes = JSON.parse((await project.run('params', 'diff', 'v1', 'main', '--json')).stdout);
    expect(changes).toContainEqual({ file: 'params.yaml', key: 'rate', from: 0.1, to: 0.2 });
    expect(await diffParams({ cwd: project.cwd, from: 'HEAD' })).toEqual([]);
  });

  it('refuses what git does not know, and a folder without git', async () => {
    const unknown = await project.run('params', 'diff', 'v2');
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      expect.stringContaining('error REVISION_UNKNOWN: git knows no revision `v2`'),
    ]);
    await expect(diffParams({ cwd: project.cwd, from: '--output=stolen' })).rejects.toMatchObject({
      code: 'REVISION_UNKNOWN',
    });
    const apart = await Project.create({ 'pipeline.yaml': PIPELINE, 'params.yaml': 'rate: 1\n' });
    expect((await apart.run('params', 'diff')).stderr).toContain('there is no git checkout here');
  });
});

describe('metrics', () => {
  it('are shown as a table and as JSON; what is not there is told', async () => {
    const { stdout } = await project.run('metrics', 'show');
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      'file            metric         value',
      'made.json       psnr           25.1',
      'made.json       by.class.sea   30',
      'made.json       by.class.land  20',
    ]);
    expect(stdout).toContain('committed.json  note           first');
    git('rm', '-q', 'committed.json');
    const { stderr, stdout: json } = await project.run('metrics', 'show', '--json');
    expect(stderr).toContain('committed.json of stage score is not there');
    expect(JSON.parse(json)).toContainEqual({ stage: 'score', path: 'committed.json', values: null });
  });

  it('are compared with those of a commit, also where git does not have them but the cache has', async () => {
    await project.write('scores.json', '{"psnr": 25.4, "by": {"class": {"sea": 30}}, "note": "second"}');
    await project.repro();
    const { stdout } = await project.run('metrics', 'diff');
    const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows[0]).toEqual(['file', 'metric', 'HEAD', 'workspace', 'change']);
    for (const file of ['made.json', 'committed.json']) {
      expect(rows).toContainEqual([file, 'psnr', '25.1', '25.4', '+0.3']);
      expect(rows).toContainEqual([file, 'by.class.land', '20', '-', '-']);
      expect(rows).toContainEqual([file, 'note', 'first', 'second', '-']);
    }
    expect(stdout).not.toContain('sea');
    git('commit', '-qam', 'second');
    const between = await diffMetrics({ cwd: project.cwd, from: 'v1', to: 'main' });
    expect(between).toContainEqual({ path: 'made.json', key: 'psnr', from: 25.1, to: 25.4, change: 0.3 });
    expect((await project.run('metrics', 'show', 'v1')).stdout).toMatch(/made\.json +psnr +25\.1\n/);
  });

  it('that are no JSON are told by name; NaN as Python writes it is no value', async () => {
    await project.write('made.json', '{"psnr": NaN, "ssim": 0.5}');
    expect((await project.run('metrics', 'show')).stdout).toMatch(/made\.json +psnr +null\n/);
    await project.write('made.json', '{"psnr": ');
    const { code, stderr } = await project.run('metrics', 'show');
    expect([code, stderr]).toEqual([1, expect.stringContaining('made.json is not valid json')]);
  });
});
