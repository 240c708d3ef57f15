import { chmod, cp, readdir, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Project } from './project.js';

/** Stands for the tools of a Python project; node runs it, whatever its ending. */
const TOOL = `
const fs = require('node:fs');
const path = require('node:path');
const flags = {};
let name;
for (const word of process.argv.slice(2)) {
  if (word.startsWith('--')) flags[(name = word.slice(2))] = [];
  else flags[name].push(word);
}
const write = (file, value) => {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify(value));
};
if (flags.input) {
  for (const split of ['train', 'test']) for (const kind of ['HR', 'LR_4x'])
    write(path.join(flags.output[0], split, kind, 'tile.json'), { split, kind, seed: flags.seed });
  write(path.join(flags.output[0], 'manifest.json'), { images: fs.readdirSync(flags.input[0]).length, scales: flags.scales });
} else if (flags.stage[0] === 'evaluate') {
  write(path.join(flags.output[0], 'metrics.json'), { psnr: 25.5 });
  write(path.join(flags.output[0], 'psnr_distribution.json'), [{ psnr: 24 }, { psnr: 27 }]);
  write(path.join(flags.output[0], 'visual_samples', 'one.txt'), 'picture');
} else {
  const base = path.join(flags.checkpoints[0], flags.stage[0]);
  write(base + '_best.pth', flags);
  const epochs = Number(flags.epochs[0]);
  write(base + '_metrics.json', Array.from({ length: epochs }, (_, epoch) => ({ epoch, loss: 1 / (epoch + 1) })));
}
`;

const FILE = 'dvc_pipeline/dvc.yaml';
let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'data_pipeline/etl.py': TOOL,
    'training/train.py': TOOL,
    'training/tracking.py': '# nothing\n',
    'data/raw/scene.png': 'pixels',
    'bin/python': `#!/bin/sh\nexec "${process.execPath}" "$@"\n`,
  });
  await chmod(join(project.cwd, 'bin/python'), 0o755);
  await cp(fileURLToPath(new URL('dvc', import.meta.url)), join(project.cwd, 'dvc_pipeline'), {
    recursive: true,
  });
  vi.stubEnv('PATH', `${join(project.cwd, 'bin')}${delimiter}${process.env.PATH}`);
});

describe('a dvc.yaml named with -f', () => {
  it('runs as it is; its folder has the state, its own lock, and its paths', async () => {
    const first = await project.run('repro', '-f', FILE, '--json');
    expect(first.stderr).not.toContain('"error"');
    expect(first.code).toBe(0);
    expect(JSON.parse(await project.read('data/processed/manifest.json'))).toEqual({
      images: 1,
      scales: ['2', '4'],
    });
    expect(JSON.parse(await project.read('dvc_pipeline/checkpoints/autoencoder_best.pth'))).toMatchObject({
      seed: ['42'],
      lr: ['0.0001'],
    });
    expect(await project.read('dvc_pipeline/evaluation/metrics.json')).toBe('{"psnr":25.5}');
    const lock = await project.read('dvc_pipeline/dvc.hndsr.lock');
    expect(lock).toContain('../data/processed/train/HR');
    expect(lock).not.toContain(project.cwd);
    expect(await readdir(project.cwd)).toEqual(['bin', 'data', 'data_pipeline', 'dvc_pipeline', 'training']);
    expect(await readdir(join(project.cwd, 'dvc_pipeline'))).toContain('.hndsr');
  });

  it('tells what is stale, from its own folder and from another', async () => {
    await project.repro({ file: FILE });
    const stale = () => project.stale({ file: FILE });
    expect(await stale()).toEqual({});
    await project.replace('dvc_pipeline/params.yaml', 'epochs: 3', 'epochs: 1');
    expect(await stale()).toMatchObject({
      train_autoencoder: [
        expect.stringContaining('command changed'),
        'param autoencoder.epochs changed from 3 to 1',
      ],
    });
    const inFolder = await project.run('-C', 'dvc_pipeline', 'status', '-f', 'dvc.yaml');
    expect(inFolder.stdout).toContain('preprocess: up to date\ntrain_autoencoder: will run\n');
    expect(await project.ran({ file: FILE })).toContain('train_autoencoder');
    await project.write('data/raw/second.png', 'more pixels');
    expect(Object.keys(await stale())).toContain('preprocess');
  });

  it('keeps apart from a pipeline.yaml in the same folder', async () => {
    await project.write('dvc_pipeline/pipeline.yaml', 'stages: {evaluate: {cmd: echo other}}');
    await project.repro({ file: FILE });
    await project.repro({ file: 'dvc_pipeline/pipeline.yaml' });
    expect(await project.stale({ file: FILE })).toEqual({});
    await rm(join(project.cwd, 'dvc_pipeline/hndsr.lock'));
    expect(await project.stale({ file: FILE })).toEqual({});
  });
});

it('tells an error by the file as it was named', async () => {
  await project.replace(FILE, 'global.seed\n    outs', 'global.sed\n    outs');
  const { code, stderr } = await project.run('status', '-f', FILE);
  expect(code).toBe(2);
  expect(stderr).toContain(
    'dvc_pipeline/dvc.yaml: stage `preprocess` selects `global.sed`, which params.yaml',
  );
  expect(stderr).toContain(
    '  at dvc_pipeline/dvc.yaml:16:9\n  16 |       - global.sed\n     |         ^~~~~~~~~~\n',
  );
});
