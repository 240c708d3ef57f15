import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hndsr, makeTinyProject, PROGRAM, temporaryFiles, VERBS } from './tiny-project.js';

let cwd: string;
beforeAll(async () => {
  cwd = await makeTinyProject();
  expect((await hndsr(cwd, 'etl')).code).toBe(0);
}, 60_000);
afterAll(() => {
  rmSync(cwd, { recursive: true, force: true });
});

describe('a later stage without the earlier one', () => {
  it.each([
    ['neural-operator', 'autoencoder'],
    ['diffusion', 'autoencoder'],
  ])('%s does not start, and says to train %s', async (stage, needed) => {
    const { code, stderr } = await hndsr(cwd, 'train', '--stage', stage);
    expect(code).toBe(1);
    expect(stderr).toContain(`CHECKPOINT_MISSING: the ${needed} checkpoint was not found`);
    expect(stderr).toContain(`hint: Run \`hndsr train --stage ${needed}\` first.`);
    expect(existsSync(join(cwd, 'checkpoints', stage))).toBe(false);
  });

  it('a dataset is needed too, and the message says which command makes it', async () => {
    const { code, stderr } = await hndsr(cwd, 'train', '--stage', 'all', '-S', 'data.output=nowhere');
    expect(code).toBe(1);
    expect(stderr).toMatch(/DATASET_MISSING[\s\S]*hndsr etl/);
  });
});

describe('wrong words', () => {
  it.each([
    [['train'], '--stage'],
    [['train', '--stage', 'unet'], 'Allowed choices are autoencoder, neural-operator, diffusion, all'],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['etl', '--frobnicate'], "unknown option '--frobnicate'"],
    [['train', '--stage', 'all', '-S', 'training.batchsize=2'], 'unknown key `training.batchsize`'],
    [['train', '--stage', 'all', '-S', 'training.batch=two'], '`training.batch`'],
    [['train', '--stage', 'all', '-S', 'training.batch'], 'expected key=value'],
    [['train', '--stage', 'all', '-S', 'model.neural_operator.modes=9'], 'has only 4 frequencies'],
  ])('%j exit 2 and are named', async (words, message) => {
    const { code, stderr } = await hndsr(cwd, ...words);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('as JSON, an error is one line on stderr with its code and hint', async () => {
    const { code, stdout, stderr } = await hndsr(cwd, 'registry', 'show', '1', '--json');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'VERSION_MISSING', hint: expect.any(String) });
  });
});

describe('params.yaml', () => {
  it('with an unknown key is refused at its line and column, under a squiggle', async () => {
    const path = join(cwd, 'params.yaml');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('  batch: 2\n', '  batch: 2\n  batchh: 3\n'));
    const { code, stderr } = await hndsr(cwd, 'train', '--stage', 'autoencoder');
    writeFileSync(path, text);
    const line = text.slice(0, text.indexOf('  batch: 2\n')).split('\n').length + 1;
    expect(code).toBe(2);
    expect(stderr).toContain(`at params.yaml:${line}:3`);
    expect(stderr).toMatch(/\| {3}batchh: 3\n.*\| {3}\^/);
  });
});

describe('help', () => {
  it.each(VERBS)('of %s has examples, and shows the flags of every command', async (verb) => {
    const { code, stdout } = await hndsr(cwd, verb, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n +hndsr /);
  });

  it('lists the commands, and no argument at all is wrong usage', async () => {
    expect((await hndsr(cwd, '--help')).stdout).toMatch(/etl [\s\S]* train [\s\S]* evaluate /);
    expect((await hndsr(cwd)).code).toBe(2);
  });
});

describe('Ctrl-C in training', () => {
  it('ends with 130 within seconds, leaves no part of a file, and the run is marked interrupted', async () => {
    const words = ['train', '--stage', 'autoencoder', '--json', '-S', 'training.autoencoder.epochs=5000'];
    const child = spawn(process.execPath, [PROGRAM, '-C', cwd, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let seen = '';
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        seen += chunk;
        if (seen.includes('training-epoch')) resolve();
      });
    });
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect(code).toBe(130);
    expect(seen).toContain('INTERRUPTED');
    expect(temporaryFiles(join(cwd, 'checkpoints'))).toEqual([]);
    const { openStore } = await import('../../src/store/store.js');
    const { latestRun } = await import('../../src/store/runs.js');
    const store = openStore(cwd);
    expect(latestRun(store, 'autoencoder')?.status).toBe('interrupted');
    store.close();
    // What the interrupted run had finished is whole: the next stage reads it.
    const next = await hndsr(cwd, 'train', '--stage', 'neural-operator');
    expect(next.code).toBe(0);
  });
});
