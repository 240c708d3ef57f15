import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HndsrError } from '../../src/errors.js';
import { promote, rollback } from '../../src/registry/promote.js';
import { register } from '../../src/registry/register.js';
import { history, list, show, verify } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { openStore } from '../../src/store/store.js';
import { type Measured, makeProject, paramsOf, ROOT, registration, writeModel } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

async function addVersion(measured?: Measured): Promise<number> {
  writeModel(cwd, measured);
  return (await register(registration(cwd))).version.version;
}

const promotion = (version: number, to: 'staging' | 'production' | 'archived') => ({
  cwd,
  version,
  to,
  actor: 'tester',
  reason: null,
  params: paramsOf(cwd),
});

async function errorOf(promise: Promise<unknown>): Promise<HndsrError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HndsrError);
  return error as HndsrError;
}

describe('register', () => {
  it('keeps the files under their hashes, read-only, and starts in dev', async () => {
    const number = await addVersion();
    const { stage, artifacts } = show(cwd, number);
    expect(stage).toBe('dev');
    expect(artifacts.map(({ role }) => role)).toEqual(['autoencoder', 'diffusion', 'neural-operator']);
    for (const { role, sha256, size } of artifacts) {
      const stored = objectPath(cwd, sha256);
      expect(readFileSync(stored)).toEqual(readFileSync(join(cwd, 'checkpoints', role, 'best.safetensors')));
      expect(statSync(stored).size).toBe(size);
      expect(statSync(stored).mode & 0o222).toBe(0);
    }
  });

  it('refuses the same files again and names the version that has them; --reuse answers with it', async () => {
    const number = await addVersion();
    const error = await errorOf(register(registration(cwd)));
    expect(error.code).toBe('VERSION_DUPLICATE');
    expect(error.message).toContain(`as version ${number}`);
    const again = await register(registration(cwd, 'reuse'));
    expect(again).toMatchObject({ created: false, version: { version: number } });
    expect(list(cwd)).toHaveLength(1);
  });

  it('says where the metrics of files registered before have changed, and keeps the first ones', async () => {
    const number = await addVersion();
    const path = join(cwd, 'reports', 'evaluation', 'metrics.json');
    expect(await register(registration(cwd, 'reuse'))).toMatchObject({ metricsDiffer: false });
    const metrics = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...metrics, psnr: { ...metrics.psnr, model: 99 } }));
    expect(await register(registration(cwd, 'reuse'))).toMatchObject({ metricsDiffer: true });
    expect(show(cwd, number).metrics).toMatchObject({ psnr: metrics.psnr });
  });

  it('makes `latest` the version that was registered last, be it again', async () => {
    const first = await addVersion();
    const kept = readdirSync(join(cwd, 'checkpoints')).map((stage) => {
      const path = join(cwd, 'checkpoints', stage, 'best.safetensors');
      return [path, readFileSync(path)] as const;
    });
    const metrics = join(cwd, 'reports', 'evaluation', 'metrics.json');
    kept.push([metrics, readFileSync(metrics)]);
    const second = await addVersion();
    expect(show(cwd, 'latest').version).toBe(second);
    for (const [path, bytes] of kept) writeFileSync(path, bytes);
    await register(registration(cwd, 'reuse'));
    expect(show(cwd, 'latest').version).toBe(first);
  });

  it('refuses metrics that were measured on other files', async () => {
    writeModel(cwd);
    writeFileSync(join(cwd, 'checkpoints', 'diffusion', 'best.safetensors'), 'another model');
    const error = await errorOf(register(registration(cwd)));
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.message).toContain('another diffusion checkpoint');
    expect(list(cwd)).toEqual([]);
  });

  it('replaces a stored copy that was damaged by the same file, whole', async () => {
    const number = await addVersion();
    const stored = objectPath(cwd, show(cwd, number).artifacts[0]!.sha256);
    chmodSync(stored, 0o644);
    writeFileSync(stored, 'damaged');
    await expect(verify(cwd, number)).rejects.toThrow(/was changed/);
    await register(registration(cwd, 'reuse'));
    await verify(cwd, number);
    expect(statSync(stored).mode & 0o222).toBe(0);
  });

  it('names a checkpoint that is missing or cannot be read', async () => {
    writeModel(cwd);
    const path = join(cwd, 'checkpoints', 'diffusion', 'best.safetensors');
    rmSync(path);
    const missing = await errorOf(register(registration(cwd)));
    expect(missing).toMatchObject({
      code: 'CHECKPOINT_MISSING',
      message: `the checkpoint ${path} was not found`,
    });
    mkdirSync(path);
    const unreadable = await errorOf(register(registration(cwd)));
    expect(unreadable.code).toBe('CHECKPOINT_INVALID');
    expect(unreadable.message).toContain(`the checkpoint ${path} cannot be read`);
    expect(list(cwd)).toEqual([]);
  });

  it('says what to run where there are no metrics, and what is wrong with them', async () => {
    expect((await errorOf(register(registration(cwd)))).hint).toContain('hndsr evaluate');
    writeModel(cwd);
    writeFileSync(join(cwd, 'reports', 'evaluation', 'metrics.json'), '{"psnr": 3}');
    expect((await errorOf(register(registration(cwd)))).message).toContain('`psnr`');
  });
});

describe('promote', () => {
  it('walks every stage to the target and archives the version that was there', async () => {
    const first = await addVersion();
    expect(await promote(promotion(first, 'production'))).toMatchObject({ from: 'dev', replaced: null });
    const second = await addVersion();
    expect(await promote(promotion(second, 'production'))).toMatchObject({ replaced: first });
    expect(list(cwd).map(({ version, stage }) => [version, stage])).toEqual([
      [second, 'production'],
      [first, 'archived'],
    ]);
    const walked = show(cwd, second).history.map(({ kind, toStage }) => `${kind} ${toStage}`);
    expect(walked).toEqual(['registered dev', 'promoted staging', 'promoted canary', 'promoted production']);
  });

  it.each([
    ['psnr >= 26', { psnr: 25.9 }],
    ['ssim >= 0.75', { ssim: 0.7 }],
    ['lpips <= 0.3', { lpips: 0.31 }],
    ['psnr > bicubic', { psnr: 29.9 }],
    ['ssim > bicubic', { ssim: 0.79 }],
  ])('refuses where the gate %s is not met, moves nothing and remembers it', async (gate, measured) => {
    const number = await addVersion(measured);
    const error = await errorOf(promote(promotion(number, 'production')));
    expect(error.code).toBe('GATE_NOT_MET');
    expect(error.exitCode).toBe(3);
    expect(error.message).toMatch(new RegExp(`NOT MET {2}${gate}`));
    const { stage, history: events } = show(cwd, number);
    expect(stage).toBe('dev');
    expect(events.at(-1)).toMatchObject({ kind: 'refused', fromStage: 'dev', toStage: 'production' });
  });

  it('lets an optional metric be unmeasured and says so, and fails one that is not optional', async () => {
    const number = await addVersion({ lpips: null });
    const { verdicts } = await promote(promotion(number, 'production'));
    expect(verdicts.find(({ gate }) => gate.startsWith('lpips'))).toMatchObject({
      passed: true,
      note: 'not measured; optional',
    });
    const strict = await addVersion({ lpips: null });
    const options = promotion(strict, 'production');
    options.params.registry.gates.production!.metrics.lpips!.optional = false;
    expect((await errorOf(promote(options))).message).toContain('lpips <= 0.3 (not measured)');
  });

  it('judges only, with `dry`: no move, no event', async () => {
    const first = await addVersion();
    await promote(promotion(first, 'production'));
    const good = await addVersion();
    const weak = await addVersion({ psnr: 20 });
    const before = [list(cwd), history(cwd)];
    const judged = await promote({ ...promotion(good, 'production'), dry: true });
    expect(judged).toMatchObject({ from: 'dev', to: 'production', replaced: first });
    const error = await errorOf(promote({ ...promotion(weak, 'production'), dry: true }));
    expect(error.code).toBe('GATE_NOT_MET');
    expect(error.message).toContain('would not be promoted');
    expect([list(cwd), history(cwd)]).toEqual(before);
  });

  it('does nothing to a version that is there already, and does not go back', async () => {
    const number = await addVersion();
    await promote(promotion(number, 'production'));
    expect(await promote(promotion(number, 'production'))).toMatchObject({
      from: 'production',
      to: 'production',
    });
    const error = await errorOf(promote(promotion(number, 'staging')));
    expect(error.code).toBe('PROMOTION_NOT_ALLOWED');
    expect(error.hint).toContain('rollback');
  });

  it('refuses a version whose stored bytes were changed, naming the file', async () => {
    const number = await addVersion();
    const { sha256 } = show(cwd, number).artifacts[0]!;
    chmodSync(objectPath(cwd, sha256), 0o644);
    writeFileSync(objectPath(cwd, sha256), 'changed');
    const error = await errorOf(promote(promotion(number, 'production')));
    expect(error.code).toBe('HASH_MISMATCH');
    expect(error.message).toContain(objectPath(cwd, sha256));
    await expect(verify(cwd, number)).rejects.toThrow(/was changed/);
  });
});

describe('rollback', () => {
  it('brings back the version before, and never one that was rolled back itself', async () => {
    const [first, second, third] = [await addVersion(), await addVersion(), await addVersion()];
    for (const number of [first, second, third]) await promote(promotion(number!, 'production'));
    const back = { cwd, actor: 'tester', reason: 'seams' };
    expect(await rollback(back)).toEqual({ restored: second, rolledBack: third });
    expect(await rollback(back)).toEqual({ restored: first, rolledBack: second });
    const error = await errorOf(rollback(back));
    expect(error.code).toBe('VERSION_MISSING');
    expect(show(cwd, 'production').version).toBe(first);
    expect(history(cwd).filter(({ kind }) => kind === 'rolled-back')).toHaveLength(2);
  });

  it('does not ask the gates again, and keeps what they said', async () => {
    const [first, second] = [await addVersion(), await addVersion()];
    const admitted = await promote(promotion(first, 'production'));
    await promote(promotion(second, 'production'));
    await rollback({ cwd, actor: 'tester', reason: null });
    const restored = show(cwd, first).history.at(-1);
    expect(restored).toMatchObject({ kind: 'restored', toStage: 'production' });
    expect(restored!.gates).toEqual(admitted.verdicts);
  });

  it('says that nothing is in production', async () => {
    await addVersion();
    const error = await errorOf(rollback({ cwd, actor: 'tester', reason: null }));
    expect(error.message).toBe('no version is in production');
  });
});

describe('the history', () => {
  it('can be neither changed nor shortened', async () => {
    await addVersion();
    const store = openStore(cwd);
    expect(() => store.database.exec("UPDATE version_events SET actor = 'nobody'")).toThrow(/append-only/);
    expect(() => store.database.exec('DELETE FROM version_events')).toThrow(/append-only/);
    store.close();
  });

  it.each([
    ['register', 'BEFORE INSERT ON version_events'],
    ['promote', "BEFORE UPDATE ON versions WHEN new.stage = 'production'"],
    ['rollback', "BEFORE UPDATE ON versions WHEN new.stage = 'production'"],
  ])('and the stages stay as they were where %s fails midway', async (verb, event) => {
    const [first, second, third] = [await addVersion(), await addVersion(), await addVersion()];
    await promote(promotion(first, 'production'));
    await promote(promotion(second, 'production'));
    const before = [list(cwd), history(cwd)];
    const store = openStore(cwd);
    store.database.exec(`CREATE TRIGGER fails ${event} BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`);
    store.close();
    const work: Record<string, () => Promise<unknown>> = {
      register: () => addVersion(),
      promote: () => promote(promotion(third, 'production')),
      rollback: () => rollback({ cwd, actor: 'tester', reason: null }),
    };
    await expect(work[verb]!()).rejects.toThrow('disk on fire');
    expect([list(cwd), history(cwd)]).toEqual(before);
  });

  it('has one production version, whatever is written', async () => {
    const [first, second] = [await addVersion(), await addVersion()];
    const store = openStore(cwd);
    const put = store.database.prepare("UPDATE versions SET stage = 'production' WHERE version = ?");
    put.run(first);
    expect(() => put.run(second)).toThrow(/UNIQUE/);
    store.close();
  });
});

describe('the command line', () => {
  const hndsr = (...words: string[]) =>
    execa(process.execPath, [join(ROOT, 'bin', 'hndsr.js'), '-C', cwd, ...words], { reject: false });

  it('exits 3 where a gate is not met, and 1 with a hint where there is no such version', async () => {
    await addVersion({ psnr: 20 });
    const dry = await hndsr('registry', 'promote', 'latest', '--to', 'production', '--dry');
    expect(dry.exitCode).toBe(3);
    expect(dry.stderr).toContain('would not be promoted');
    const refused = await hndsr('registry', 'promote', 'latest', '--to', 'production');
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain('NOT MET  psnr >= 26: 20.0000');
    const missing = await hndsr('registry', 'show', '9');
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toMatch(/there is no version 9[\s\S]*hint: .*registry list/);
    const wrong = await hndsr('registry', 'show', 'nine');
    expect(wrong.exitCode).toBe(2);
  });

  it('registers, promotes and shows as JSON', async () => {
    writeModel(cwd);
    const created = JSON.parse((await hndsr('registry', 'register', '--json')).stdout);
    expect(created).toMatchObject({ version: 1, created: true });
    await hndsr(
      'registry',
      'promote',
      'latest',
      '--to',
      'production',
      '--actor',
      'ada',
      '--reason',
      'better',
    );
    const shown = JSON.parse((await hndsr('registry', 'show', 'production', '--json')).stdout);
    expect(shown.history.at(-1)).toMatchObject({ actor: 'ada', reason: 'better', toStage: 'production' });
    expect((await hndsr('registry', 'list')).stdout).toMatch(/1 +production/);
    expect((await hndsr('registry', 'verify', '1')).exitCode).toBe(0);
    expect((await hndsr('registry', 'history')).stdout.split('\n')).toHaveLength(4);
  });

  it('lets many processes promote at once: one version in production, no lock error', async () => {
    const numbers: number[] = [];
    for (let count = 0; count < 4; count++) numbers.push(await addVersion());
    const results = await Promise.all(
      numbers.map((number) => hndsr('registry', 'promote', String(number), '--to', 'production')),
    );
    expect(results.map(({ stderr }) => stderr).join('')).not.toContain('locked');
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    expect(list(cwd).filter(({ stage }) => stage === 'production')).toHaveLength(1);
    expect(list(cwd).filter(({ stage }) => stage === 'archived')).toHaveLength(3);
  });

  it('leaves no temporary file among the objects', async () => {
    await addVersion();
    const names = readdirSync(join(cwd, '.hndsr', 'objects'), { recursive: true }).map(String);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
