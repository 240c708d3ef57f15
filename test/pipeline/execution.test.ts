import { existsSync } from 'node:fs';
import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Project } from './project.js';

let project: Project;
beforeEach(async () => {
  project = await Project.create({
    'source.txt': 'good\n',
    'pipeline.yaml': `
stages:
  make:
    cmd:
      - mkdir -p out && cp source.txt out/made.txt
      - grep -q good source.txt || { echo "bad source" >&2; exit 7; }
    deps: [source.txt]
    outs: [out]
  use:
    cmd: cat out/made.txt > used.txt
    deps: [out/made.txt]
    outs: [used.txt]
  apart:
    cmd: echo apart > apart.txt
    outs: [apart.txt]
`,
  });
});

describe('repro', () => {
  it('writes the lock entry of each stage in a stable, readable form', async () => {
    await project.repro();
    const text = await project.read('hndsr.lock');
    const { version, stages } = parse(text);
    expect(version).toBe(1);
    expect(Object.keys(stages)).toEqual(['apart', 'make', 'use']);
    expect(stages.make).toEqual({
      cmd: [
        'mkdir -p out && cp source.txt out/made.txt',
        'grep -q good source.txt || { echo "bad source" >&2; exit 7; }',
      ],
      wdir: '.',
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      // sha256 of "good\n", and of the tree that has it as made.txt
      deps: [
        {
          path: 'source.txt',
          sha256: '106675dc1490d5cdd6d1f0410731316ce93fc964c6cf6726e2b0d53e19688feb',
          size: 5,
        },
      ],
      params: {},
      outs: [{ path: 'out', sha256: expect.stringMatching(/^[0-9a-f]{64}$/), size: 5, files: 1 }],
    });
    await rm(join(project.cwd, 'hndsr.lock'));
    await project.repro();
    expect(await project.read('hndsr.lock')).toBe(text);
  });

  it('runs a target and what it depends on, no more', async () => {
    expect(await project.ran({ targets: ['use'] })).toEqual(['make', 'use']);
    expect(await project.ran()).toEqual(['apart']);
  });

  it('runs what is up to date when forced', async () => {
    await project.repro();
    expect(await project.ran({ force: true, targets: ['make'] })).toEqual(['make']);
  });

  it('runs nothing when dry', async () => {
    const { stdout } = await project.run('repro', '--dry');
    expect(stdout).toBe(
      'make: would run (never run)\nuse: would run (never run)\napart: would run (never run)\n',
    );
    await expect(project.read('apart.txt')).rejects.toThrow('ENOENT');
  });

  it('refuses a stage that is not in pipeline.yaml', async () => {
    const { code, stderr } = await project.run('repro', 'trian');
    expect(code).toBe(2);
    expect(stderr).toBe(
      'error PIPELINE_UNKNOWN_STAGE: pipeline.yaml has no stage `trian`\n  hint: Its stages: make, use, apart.\n',
    );
  });

  it('drops the entry of a stage that is no more', async () => {
    await project.repro();
    await project.replace('pipeline.yaml', '  apart:', '  other:');
    await project.repro();
    expect(Object.keys(parse(await project.read('hndsr.lock')).stages)).toEqual(['make', 'other', 'use']);
  });

  it('runs a command in its wdir', async () => {
    await project.write('sub/in.txt', 'x');
    await project.write(
      'pipeline.yaml',
      'stages: {a: {cmd: cp in.txt out.txt, wdir: sub, deps: [in.txt], outs: [out.txt]}}',
    );
    await project.repro();
    expect(await project.read('sub/out.txt')).toBe('x');
  });

  it('says which wdir is missing', async () => {
    await project.write('pipeline.yaml', 'stages:\n  a: {cmd: "true", wdir: sub}');
    await expect(project.repro()).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      message: 'stage `a`: its wdir sub is not there',
      location: { line: 2, column: 26 },
    });
  });

  it('gives a command this very hndsr and Node', async () => {
    await project.write('pipeline.yaml', 'stages: {a: {cmd: hndsr --version > v.txt, outs: [v.txt]}}');
    await project.repro();
    const { stdout } = await project.run('--version');
    expect(await project.read('v.txt')).toBe(stdout);
  });

  it('shows output line by line, and keeps it in the log', async () => {
    const script = 'process.stdout.write("no end of line"); console.error("to stderr")';
    await project.write('talk.js', script);
    await project.write('pipeline.yaml', 'stages: {talk: {cmd: ["echo one; echo two", node talk.js]}}');
    const { code, stderr, stdout } = await project.run('repro');
    expect(code).toBe(0);
    expect(stdout).toBe('1 stage ran, 0 unchanged.\n');
    expect(stderr).toMatch(/^\[talk\] running: never run\n\[talk\] one\n\[talk\] two\n/);
    expect(stderr).toContain('[talk] no end of line\n');
    const log = await project.read('.hndsr/logs/talk.log');
    expect(log).toMatch(/^\$ echo one; echo two\none\ntwo\n\$ node talk\.js\n/);
    expect(log.split('\n').slice(4, 6).sort()).toEqual(['no end of line', 'to stderr']);
  });

  it('gives the outcome as JSON', async () => {
    const { stdout } = await project.run('repro', 'make', '--json');
    expect(JSON.parse(stdout)).toEqual([
      {
        stage: 'make',
        ran: true,
        restored: false,
        reasons: [{ kind: 'never-run', text: 'never run' }],
        seconds: expect.any(Number),
      },
    ]);
  });
});

describe('a stage that fails', () => {
  beforeEach(async () => {
    await project.repro();
    await project.write('out/made.txt', 'good\n');
    await project.write('source.txt', 'evil\n');
  });

  it('leaves its previous outputs and its lock entry as they were, and stops the rest', async () => {
    const lock = await project.read('hndsr.lock');
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error PIPELINE_STAGE_FAILED: stage `make` failed with exit code 7 in ' +
        '`grep -q good source.txt || { echo "bad source" >&2; exit 7; }` (log: .hndsr/logs/make.log); its last lines:\n' +
        '    bad source\n  hint: Its previous outputs were put back.',
    );
    expect(await project.read('out/made.txt')).toBe('good\n');
    expect(await project.read('used.txt')).toBe('good\n');
    expect(await project.read('hndsr.lock')).toBe(lock);
    expect((await project.stale()).make).toEqual(['dependency source.txt changed']);
  });

  it('leaves nothing of what it had made where there was no output', async () => {
    await rm(join(project.cwd, 'out'), { recursive: true });
    await expect(project.repro()).rejects.toMatchObject({ code: 'PIPELINE_STAGE_FAILED' });
    expect(existsSync(join(project.cwd, 'out'))).toBe(false);
  });

  it('keeps the entries of the stages that ended before it', async () => {
    await project.replace('pipeline.yaml', 'echo apart >', 'exit 3; echo more >');
    await project.write('source.txt', 'good again\n');
    await expect(project.repro()).rejects.toThrow('stage `apart` failed with exit code 3');
    expect(Object.keys(await project.stale())).toEqual(['apart']);
  });

  it('tells the signal that ended it', async () => {
    await project.replace('pipeline.yaml', 'echo apart >', 'kill -9 $$; echo more >');
    await project.write('source.txt', 'good\n');
    await expect(project.repro()).rejects.toThrow(
      /stage `apart` failed with signal SIGKILL .*it printed nothing/,
    );
  });
});

describe('an output that a stage does not make', () => {
  it('is an error, and the previous one comes back', async () => {
    await project.repro();
    await project.replace('pipeline.yaml', 'echo apart > apart.txt', 'echo apart > appart.txt');
    const lock = await project.read('hndsr.lock');
    const { code, stderr } = await project.run('repro');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error PIPELINE_OUTPUT_MISSING: stage `apart` ended well but did not make its output apart.txt\n' +
        '  at pipeline.yaml:15:12\n',
    );
    expect(await project.read('apart.txt')).toBe('apart\n');
    expect(await project.read('hndsr.lock')).toBe(lock);
  });
});

it('puts the outputs back when hndsr.lock cannot be written', async () => {
  await project.write('pipeline.yaml', 'stages: {a: {cmd: date > out.txt, outs: [out.txt]}}');
  await project.write('out.txt', 'before');
  await project.replace('pipeline.yaml', 'date', 'mkdir -p hndsr.lock/in; date');
  await expect(project.repro()).rejects.toMatchObject({
    code: 'OUTPUT_UNWRITABLE',
    message: expect.stringContaining(join(project.cwd, 'hndsr.lock')),
  });
  expect(await project.read('out.txt')).toBe('before');
});

it('leaves a link in place of an output folder, and writes where it points', async () => {
  await mkdir(join(project.cwd, 'elsewhere'));
  await symlink('elsewhere', join(project.cwd, 'out'));
  await project.repro();
  await project.repro({ force: true });
  expect(await readlink(join(project.cwd, 'out'))).toBe('elsewhere');
  expect(await project.read('elsewhere/made.txt')).toBe('good\n');
  await project.write('source.txt', 'evil\n');
  await expect(project.repro()).rejects.toThrow('exit code 7');
  expect(await readlink(join(project.cwd, 'out'))).toBe('elsewhere');
  expect(await project.read('elsewhere/made.txt')).toBe('good\n');
});

it('does not follow a link into the folder that it is in', async () => {
  await mkdir(join(project.cwd, 'loop'));
  await symlink('.', join(project.cwd, 'loop', 'again'));
  await project.write('loop/file', 'x');
  await project.write('pipeline.yaml', 'stages: {a: {cmd: "true", deps: [loop]}}');
  await project.repro();
  expect(await project.stale()).toEqual({});
});

it('refuses a dependency that is neither a file nor a folder', async () => {
  await project.write('pipeline.yaml', 'stages: {a: {cmd: "true", deps: [/dev/null]}}');
  await expect(project.repro()).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringMatching(/dev\/null is neither a file nor a folder$/),
  });
});

it('lists the stages and what joins them', async () => {
  expect((await project.run('dag')).stdout).toBe('make\n└ use\napart\n');
  const nodes = JSON.parse((await project.run('dag', '--json')).stdout);
  expect(nodes[1]).toEqual({
    stage: 'use',
    after: ['make'],
    commands: ['cat out/made.txt > used.txt'],
    deps: ['out/made.txt'],
    params: [],
    outs: ['used.txt'],
    frozen: false,
    description: null,
  });
});

it('tells the status as text and as JSON', async () => {
  await project.repro();
  await project.write('source.txt', 'good again\n');
  expect((await project.run('status')).stdout).toBe(
    'make: will run\n  - dependency source.txt changed\nuse: will run\n  - upstream stage make will run\napart: up to date\n',
  );
  expect(JSON.parse((await project.run('status', '--json')).stdout)).toEqual([
    {
      stage: 'make',
      upToDate: false,
      reasons: [{ kind: 'dependency-changed', path: 'source.txt', text: 'dependency source.txt changed' }],
    },
    {
      stage: 'use',
      upToDate: false,
      reasons: [{ kind: 'upstream-runs', stage: 'make', text: 'upstream stage make will run' }],
    },
    { stage: 'apart', upToDate: true, reasons: [] },
  ]);
});

it('says how to begin where there is no pipeline.yaml', async () => {
  await rm(join(project.cwd, 'pipeline.yaml'));
  const { code, stderr } = await project.run('repro');
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^error CONFIG_MISSING: pipeline\.yaml was not found .*\n {2}hint: Run `hndsr init`/,
  );
  await project.write('dvc.yaml', 'stages: {a: {cmd: echo}}');
  expect((await project.run('status')).stderr).toMatch(
    /\n {2}hint: There is a dvc\.yaml here: name it with -f dvc\.yaml\.\n$/,
  );
});

it('says what is wrong with the file that -f names', async () => {
  const { code, stderr } = await project.run('repro', '-f', 'sub/other.yaml');
  expect([code, stderr]).toEqual([
    2,
    `error CONFIG_MISSING: sub/other.yaml was not found (looked for ${join(project.cwd, 'sub/other.yaml')})\n` +
      `  hint: -f names a pipeline's file, here sub/other.yaml, relative to ${project.cwd}: correct it.\n`,
  ]);
  await mkdir(join(project.cwd, 'sub'));
  const folder = await project.run('dag', '-f', 'sub');
  expect(folder.stderr).toContain(
    `error CONFIG_MISSING: sub is a folder, not a file (${join(project.cwd, 'sub')})\n`,
  );
});
