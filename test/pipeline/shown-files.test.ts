import { expect, it } from 'vitest';
import { Project } from './project.js';

const FILES = {
  'pipeline.yaml': `
stages:
  train: {cmd: x, metrics: [live/metrics.json]}
params: [live/params.yaml]
metrics: [./live/metrics.json, '\${extra}']
plots:
  - live/loss.csv: {x: step, y: [loss], title: Loss}
  - Accuracy: {x: step, y: {live/accuracy.csv: accuracy}, template: linear}
  - live/plain.json
`,
  'params.yaml': 'extra: extra.json\n',
  'live/params.yaml': 'lr: 1\n',
  'live/metrics.json': '{"acc": 0.5}',
  'extra.json': '{"more": 1}',
  'live/loss.csv': 'step,loss\n10,3\n20,2\n',
  'live/accuracy.csv': 'step,accuracy,other\n10,0.3\n20,0.4\n',
  'live/plain.json': '[{"value": 1}, {"value": 4}]',
};

it('files that the pipeline names beside its stages are shown like those of stages, each once', async () => {
  const project = await Project.create(FILES);
  expect(JSON.parse((await project.run('metrics', 'show', '--json')).stdout)).toEqual([
    { stage: 'train', path: 'live/metrics.json', values: { acc: 0.5 } },
    { stage: null, path: 'extra.json', values: { more: 1 } },
  ]);
  const { charts, notDrawn } = JSON.parse((await project.run('plots', '--json')).stdout);
  expect(notDrawn).toEqual([]);
  expect(charts.map(({ path, fields }: { path: string; fields: string[] }) => [path, fields])).toEqual([
    ['live/loss.csv', ['loss']],
    ['live/accuracy.csv', ['accuracy']],
    ['live/plain.json', ['value']],
  ]);
  expect(await project.read('hndsr-plots/live-accuracy.csv-accuracy.svg')).toContain('Accuracy');
  expect((await project.run('status')).code).toBe(0);
});

it('refuses what is no list of files, at its place', async () => {
  const project = await Project.create({ 'pipeline.yaml': 'stages: {a: {cmd: x}}\nmetrics:\n  - a: 1\n' });
  const { code, stderr } = await project.run('status');
  expect(code).toBe(2);
  expect(stderr).toContain('error CONFIG_INVALID: pipeline.yaml: `metrics.0`: ');
  expect(stderr).toContain('  at pipeline.yaml:3:5\n  3 |   - a: 1\n    |     ^~~~\n');
});

it('a pipeline may show files alone, as DVCLive writes it: it has no stages, and no param is unread', async () => {
  const project = await Project.create({
    'dvc.yaml': `
params: [live/params.yaml]
metrics: [live/metrics.json]
plots:
  - live/plots: {x: step}
artifacts: {best: {path: models/best.pt, type: model}}
`,
    'params.yaml': 'lr: 1\n',
    'live/params.yaml': 'lr: 1\n',
    'live/metrics.json': '{"acc": 0.5}',
    'live/plots/acc.tsv': 'step\tacc\n10\t0.3\n20\t0.4\n',
  });
  const run = async (...words: string[]) => {
    const { code, stdout, stderr } = await project.run(...words, '-f', 'dvc.yaml');
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  };
  expect(await run('status')).toBe('There are no stages in dvc.yaml.\n');
  expect(await run('repro')).toBe('Nothing to do: 0 stages up to date.\n');
  expect(await run('metrics', 'show')).toContain('live/metrics.json  acc     0.5\n');
  expect(await run('plots')).toContain('index.html: 1 chart\n');
});
