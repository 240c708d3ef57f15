import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

/** The pipeline of DVC's "Get Started", with all that its documentation puts at the top of the file. */
const PIPELINE = `
stages:
  prepare:
    cmd: sh src/prepare.sh data/data.xml
    deps:
      - data/data.xml
      - src/prepare.sh
    params:
      - prepare.seed
      - prepare.split
    outs:
      - data/prepared
  featurize:
    cmd: sh src/featurize.sh data/prepared data/features
    deps:
      - data/prepared
      - src/featurize.sh
    params:
      - featurize.max_features
      - featurize.ngrams
    outs:
      - data/features
  train:
    cmd: sh src/train.sh data/features model.pkl
    desc: Train the classifier
    deps:
      - data/features
      - src/train.sh
    params:
      - train
    outs:
      - model.pkl:
          desc: the classifier
          type: model
          labels: [nlp, text]
          meta: {framework: sklearn}
          remote: backup
          push: false
    meta:
      owner: someone
  evaluate:
    cmd: node src/evaluate.cjs model.pkl data/features
    deps:
      - data/features
      - model.pkl
      - src/evaluate.cjs
    outs:
      - eval/importance.svg
      - eval/live/plots
      - eval/prc:
          cache: false
    metrics:
      - eval/live/metrics.json:
          cache: false
metrics:
  - eval/live/metrics.json
plots:
  - ROC:
      template: simple
      x: fpr
      y:
        eval/live/plots/sklearn/roc/train.json: tpr
        eval/live/plots/sklearn/roc/test.json: tpr
  - Confusion-Matrix:
      template: confusion
      x: actual
      y:
        eval/live/plots/sklearn/cm/train.json: predicted
        eval/live/plots/sklearn/cm/test.json: predicted
  - Precision-Recall:
      x: recall
      y:
        eval/prc/train.json: [precision, count]
        eval/prc/test.json: precision
  - eval/importance.svg
artifacts:
  text-classification:
    path: model.pkl
    type: model
    desc: Finds texts
    labels: [nlp]
    meta: {framework: sklearn}
datasets:
  - {name: texts, type: dc, url: "dc://texts"}
`;

const EVALUATE = `
const { mkdirSync, writeFileSync } = require('node:fs');
const write = (path, value) => {
  mkdirSync(path.replace(/\\/[^/]*$/, ''), { recursive: true });
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
};
write('eval/live/metrics.json', { avg_prec: { train: 0.97, test: 0.92 }, roc_auc: { train: 0.98, test: 0.94 } });
for (const [index, split] of ['train', 'test'].entries()) {
  const steps = [0, 0.25, 0.5, 0.75, 1];
  write('eval/live/plots/sklearn/roc/' + split + '.json', steps.map((fpr) => ({ fpr, tpr: fpr ** (0.3 + index / 3), threshold: 1 - fpr })));
  write('eval/live/plots/sklearn/cm/' + split + '.json', [['1', '1'], ['1', '0'], ['0', '0'], ['0', '0']].map(([actual, predicted]) => ({ actual, predicted })));
  write('eval/prc/' + split + '.json', { prc: steps.map((recall) => ({ recall, precision: 1 - recall / 2, count: 3 })) });
}
write('eval/importance.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
`;

const copy = (from: string, to: string): string => `mkdir -p ${to} && cp -r ${from} ${to}/\n`;

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'dvc.yaml': PIPELINE,
    'params.yaml': `prepare: {split: 0.20, seed: 20170428}
featurize: {max_features: 100, ngrams: 1}
train: {seed: 20170428, n_est: 50, min_split: 0.01}
`,
    'data/data.xml': '<row/>',
    'src/prepare.sh': copy('data/data.xml', 'data/prepared'),
    'src/featurize.sh': copy('data/prepared/*', 'data/features'),
    'src/train.sh': '(echo model of; cat "$1"/*) > "$2"\n',
    'src/evaluate.cjs': EVALUATE,
    '.gitignore': '.hndsr\nhndsr-plots\nmodel.pkl\n/data/prepared\n/data/features\n/eval/live/plots\n',
  });
});

const hndsr = async (...words: string[]) => {
  const { code, stdout, stderr } = await project.run(...words, '-f', 'dvc.yaml');
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
};

describe('the dvc.yaml of "Get Started"', () => {
  it('runs, is compared with a commit, and its plots are drawn', async () => {
    const first = await hndsr('repro');
    expect(first.stdout).toBe('4 stages ran, 0 unchanged.\n');
    expect(first.stderr).not.toContain('warning');
    expect((await hndsr('status')).stdout).toMatch(/^(\w+: up to date\n){4}$/);
    expect((await hndsr('dag')).stdout).toBe('prepare\n└ featurize\n└ train\n└ evaluate\n');
    project.commitFirst();
    await project.replace('src/evaluate.cjs', '0.92', '0.93');
    await project.replace('params.yaml', 'n_est: 50', 'n_est: 60');
    expect((await hndsr('repro')).stdout).toBe('2 stages ran, 2 unchanged.\n');
    expect((await hndsr('metrics', 'diff')).stdout).toContain('avg_prec.test  0.92  0.93       +0.01\n');
    expect((await hndsr('params', 'diff')).stdout).toContain('train.n_est  50    60\n');
    const { charts, notDrawn } = JSON.parse((await hndsr('plots', 'HEAD', '--json')).stdout);
    expect(notDrawn).toEqual([]);
    expect(charts).toEqual([
      ...['train', 'train-2', 'test', 'test-2'].map((name) => ({
        path: `eval/live/plots/sklearn/cm/${name.replace('-2', '')}.json`,
        fields: ['actual', 'predicted'],
        svg: `hndsr-plots/eval-live-plots-sklearn-cm-${name.replace('-2', '')}.json-actual-predicted${name.endsWith('-2') ? '-2' : ''}.svg`,
      })),
      { path: 'ROC', fields: ['tpr'], svg: 'hndsr-plots/ROC-tpr.svg' },
      {
        path: 'Precision-Recall',
        fields: ['precision', 'count'],
        svg: 'hndsr-plots/Precision-Recall-precision-count.svg',
      },
    ]);
    const texts = async (svg: string) =>
      [...(await project.read(svg)).matchAll(/<text [^>]*>([^<]*)</g)].map(([, text]) => text);
    const roc = await texts('hndsr-plots/ROC-tpr.svg');
    expect(roc).toEqual(
      expect.arrayContaining(['ROC', 'fpr', 'workspace: train.json', 'HEAD: train.json', 'HEAD: test.json']),
    );
    expect(await texts('hndsr-plots/Precision-Recall-precision-count.svg')).toEqual(
      expect.arrayContaining(['recall', 'workspace: train.json: count', 'HEAD: test.json: precision']),
    );
    // Rows are the predicted classes, columns the actual ones.
    expect((await texts(charts[0].svg)).slice(1, 5)).toEqual(['2', '1', '0', '1']);
    expect(await project.read('hndsr-plots/index.html')).toContain('data:image/svg+xml;base64,');
  });

  it('neither sends nor asks for an output that is not to be pushed', async () => {
    await hndsr('repro');
    const remote = join(project.cwd, 'away');
    await hndsr('push', '--remote', remote, '--run-cache');
    const files = (await readdir(remote, { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    );
    const sent = await Promise.all(files.map((one) => readFile(join(one.parentPath, one.name), 'utf8')));
    expect(sent).toContain('<row/>');
    expect(sent).not.toContain('model of\n<row/>');
    for (const path of ['model.pkl', 'data/features', '.hndsr'])
      await rm(join(project.cwd, path), { recursive: true });
    const { stdout } = await hndsr('pull', '--remote', remote, '--run-cache', '--json');
    expect(JSON.parse(stdout).restored).toEqual(['data/features']);
    expect(await project.stale({ file: 'dvc.yaml' })).toMatchObject({
      train: ['output model.pkl missing'],
    });
  });
});
