import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { Project } from './project.js';

/** Writes what a training would: a long curve, a short list, metrics, a picture; names as an attacker would choose. */
const TRAIN = `
const { mkdirSync, writeFileSync } = require('node:fs');
const rate = Number(process.argv[2]);
mkdirSync('out/samples', { recursive: true });
const steps = Array.from({ length: 3000 }, (_, step) => step + ',' + rate / (step + 1) + ',note');
writeFileSync('out/curve.csv', 'step,loss,text\\n' + steps.join('\\n') + '\\n');
writeFileSync('out/epochs.json', JSON.stringify({ epochs: [1, 2, 3].map((epoch) => ({ epoch, psnr: 20 + rate * epoch, '<b>': epoch })) }));
writeFileSync('out/metrics.json', JSON.stringify({ psnr: 20 + rate, '<script>alert(1)</script>': 1, each: [1, rate] }));
writeFileSync('out/samples/one.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>');
writeFileSync('out/samples/notes.md', 'text');
writeFileSync('out/broken.json', '{');
`;

const PIPELINE = `
stages:
  train:
    cmd: node train.cjs \${rate}
    deps: [train.cjs]
    metrics: [out/metrics.json]
    plots:
      - out/curve.csv: {x: step, y: loss, title: The <loss>}
      - out/epochs.json: {cache: false, x: epoch}
      - out/samples
      - out/broken.json
`;

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'params.yaml': 'rate: 1\n',
    'train.cjs': TRAIN,
    '.gitignore': '.hndsr\nout\n!out/epochs.json\n',
  });
  await project.repro();
  project.commitFirst();
  await project.replace('params.yaml', '1', '2');
  await project.repro();
});

describe('plots', () => {
  it('draws every declared plot and list of numbers, now and of a commit, as SVG that a renderer reads', async () => {
    const { code, stdout, stderr } = await project.run('plots', 'HEAD', '--json');
    expect(code).toBe(0);
    const { charts, notDrawn } = JSON.parse(stdout);
    expect(charts).toEqual([
      { path: 'out/metrics.json', fields: ['value'], svg: 'hndsr-plots/out-metrics.json-each-value.svg' },
      { path: 'out/curve.csv', fields: ['loss'], svg: 'hndsr-plots/out-curve.csv-loss.svg' },
      { path: 'out/epochs.json', fields: ['psnr'], svg: 'hndsr-plots/out-epochs.json-epochs-psnr.svg' },
      { path: 'out/epochs.json', fields: ['<b>'], svg: 'hndsr-plots/out-epochs.json-epochs--b-.svg' },
    ]);
    expect(stderr).toContain('out/samples/notes.md is not drawn');
    expect(notDrawn).toContainEqual({
      path: 'out/broken.json',
      why: expect.stringContaining('not valid json'),
    });
    for (const { svg } of charts) {
      const text = await project.read(svg);
      expect(text).toContain('>workspace</text>');
      expect(text).toContain('>HEAD</text>');
      expect(text).not.toContain('<b>');
      expect((await sharp(Buffer.from(text)).metadata()).width).toBe(960);
    }
    expect(await project.read('hndsr-plots/out-curve.csv-loss.svg')).toContain('The &lt;loss&gt;');
  });

  it('makes one page that needs no other file, runs no script, and shows metrics and pictures of both', async () => {
    await project.run('plots', 'HEAD', '-o', 'report');
    const page = await project.read('report/index.html');
    expect(page).toContain('<th>workspace</th><th>HEAD</th>');
    expect(page).toMatch(/<td>psnr<\/td><td class="number">22<\/td><td class="number">21<\/td>/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/(?:src|href)="(?!data:image)/);
    expect(page.match(/<img src="data:image\/svg\+xml;base64,/g)).toHaveLength(2);
    expect(page.match(/<svg /g)).toHaveLength(4);
    expect(await readdir(join(project.cwd, 'report'))).toContain('index.html');
  });

  it('says what is not there', async () => {
    const apart = await Project.create({ 'pipeline.yaml': PIPELINE, 'params.yaml': 'rate: 1\n' });
    const { code, stderr, stdout } = await apart.run('plots');
    expect(code).toBe(0);
    expect(stderr).toContain('out/curve.csv is not drawn: it is not there');
    expect(stdout).toContain('index.html: 0 charts');
  });
});
