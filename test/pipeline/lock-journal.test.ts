import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Lock } from '../../src/pipeline/lock.js';
import { referencedObjects } from '../../src/store/references.js';
import { openStoreToRead } from '../../src/store/store.js';
import { Project, until } from './project.js';

const QUICK = ['a', 'b', 'c', 'd', 'e', 'f'];
const NAMES = new Set([...QUICK, 'last']);

/** Quick stages, then one that waits; the trace has each that ran. */
const PIPELINE = `stages:
${QUICK.map((name) => `  ${name}: {cmd: "echo ${name} | tee -a trace > out-${name}", deps: [in.txt], params: [limit], outs: [out-${name}]}`).join('\n')}
  last: {cmd: "until test -e go; do sleep 0.02; done; echo > end", deps: [out-f], outs: [end]}
`;

let project: Project;
let lockPath: string;
let journal: string;
beforeEach(async () => {
  project = await Project.create({
    'pipeline.yaml': PIPELINE,
    'params.yaml': 'limit: .inf\n',
    'in.txt': 'in',
  });
  lockPath = join(project.cwd, 'hndsr.lock');
  journal = join(project.cwd, '.hndsr', 'hndsr.lock.journal');
});

/** What `kill -9` leaves of a `repro` whose quick stages all ended within a second. @returns the lock of a clean run */
async function killedAfterQuickStages(): Promise<string> {
  await project.write('go', '');
  await project.repro();
  const text = await project.read('hndsr.lock');
  const whole = Lock.read(lockPath);
  await rm(lockPath);
  const lock = Lock.read(lockPath);
  vi.spyOn(performance, 'now').mockReturnValue(0);
  for (const name of QUICK) await lock.write(name, whole.get(name)!, NAMES);
  vi.restoreAllMocks();
  const [first, journaled] = [await project.read('hndsr.lock'), await readFile(journal, 'utf8')];
  await lock.settle(NAMES);
  await writeFile(lockPath, first);
  await writeFile(journal, journaled);
  expect(first).not.toContain('  b:');
  expect(journaled.split('\n').map((line) => line.slice(0, 8))).toEqual([
    expect.stringMatching(/^"[0-9a-f]{7}/),
    ...[...'bcdef'].map((name) => `["${name}","`.padEnd(8)),
    '',
  ]);
  await rm(join(project.cwd, 'end'));
  return text;
}

describe('kill -9 right after quick stages', () => {
  it('lets none of them run again', async () => {
    const run = project.spawn('repro');
    await until(() => run.stderr.includes('[last] '));
    run.process.kill('SIGKILL');
    await run.ended;
    await project.write('go', '');
    expect(await project.ran()).toEqual(['last']);
    expect(await project.read('trace')).toBe('a\nb\nc\nd\ne\nf\n');
    expect(existsSync(journal)).toBe(false);
  });

  it('leaves them to the next repro, which writes what a run without it had written', async () => {
    const clean = await killedAfterQuickStages();
    expect(await project.restored()).toEqual(['last']);
    expect(await project.read('hndsr.lock')).toBe(clean);
    expect(existsSync(journal)).toBe(false);
  });

  it('leaves them to whichever command is next', async () => {
    const clean = await killedAfterQuickStages();
    const { stdout } = await project.run('status');
    expect(stdout).toMatch(/^([a-f]: up to date\n){6}last: will run\n/);
    expect(clean.replace(/ {2}last:\n( {4}.*\n)*/, '')).toBe(await project.read('hndsr.lock'));
    expect(existsSync(journal)).toBe(false);
  });

  it('leaves their objects, which no gc takes', async () => {
    await killedAfterQuickStages();
    const { outs } = Lock.read(lockPath).get('f')!;
    const store = openStoreToRead(project.cwd);
    expect(referencedObjects(project.cwd, store)).toContain(outs[0]!.sha256);
    store.close();
  });
});

describe('while repro is at work', () => {
  it('other commands see what has ended, and leave its journal alone', async () => {
    const run = project.spawn('repro');
    await until(() => run.stderr.includes('[last] '));
    const text = await readFile(journal, 'utf8').catch(() => undefined);
    expect(Object.keys(await project.stale())).toEqual(['last']);
    expect(await readFile(journal, 'utf8').catch(() => undefined)).toBe(text);
    run.process.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(existsSync(journal)).toBe(false);
    for (const name of QUICK) expect(await project.read('hndsr.lock')).toContain(`\n  ${name}:\n`);
  });
});

describe('a journal', () => {
  const known = (): string => QUICK.filter((name) => Lock.read(lockPath).get(name) !== undefined).join('');

  it('counts up to the line that was cut off', async () => {
    await killedAfterQuickStages();
    const text = await readFile(journal, 'utf8');
    expect(known()).toBe('abcdef');
    await writeFile(journal, text.slice(0, -10));
    expect(known()).toBe('abcde');
    await writeFile(journal, `${text}\0\0\0\0`);
    expect(known()).toBe('abcdef');
  });

  it('says nothing of a lock that is another by now, and goes', async () => {
    await killedAfterQuickStages();
    await writeFile(lockPath, `${await project.read('hndsr.lock')}# checked out\n`);
    expect(known()).toBe('a');
    await project.stale();
    expect(existsSync(journal)).toBe(false);
    expect(known()).toBe('a');
  });

  it('of another version counts as none', async () => {
    await killedAfterQuickStages();
    await writeFile(journal, (await readFile(journal, 'utf8')).replaceAll('fingerprint:', 'print:'));
    expect(known()).toBe('a');
    expect(Object.keys(await project.stale())).toEqual(['b', 'c', 'd', 'e', 'f', 'last']);
  });

  it('that cannot be written fails its stage, whose entry is as it was', async () => {
    await killedAfterQuickStages();
    await project.stale();
    const lock = Lock.read(lockPath);
    const [a, b] = [lock.get('a')!, lock.get('b')!];
    await lock.write('a', { ...a, wdir: 'written' }, NAMES);
    await project.write('.hndsr/hndsr.lock.journal/in', '');
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const failed = lock.write('b', { ...b, wdir: 'lost' }, NAMES);
    await expect(failed).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining(journal),
    });
    vi.restoreAllMocks();
    expect([lock.get('a')!.wdir, lock.get('b')!.wdir]).toEqual(['written', '.']);
  });
});
