import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { canaryStatus, startCanary, stepCanary, stopCanary } from '../../src/registry/canary.js';
import { promote } from '../../src/registry/promote.js';
import { verifyAll } from '../../src/registry/verify.js';
import { show } from '../../src/registry/versions.js';
import { goesToCanary, recordServed, type Served, servingCanary } from '../../src/store/serving.js';
import { openStore } from '../../src/store/store.js';
import { hndsr } from '../cli/tiny-project.js';
import { addVersion, errorOf, makeProject, paramsOf, promotion, setRegistry } from './project.js';

const IMAGES = 12;

let cwd: string;
let production: number;
let next: number;
beforeEach(async () => {
  cwd = makeProject();
  setRegistry(cwd, `  gates: {}\n  canary: { min_images: ${IMAGES} }\n`);
  production = await addVersion(cwd);
  next = await addVersion(cwd);
  await promote(promotion(cwd, production, 'production'));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const options = () => ({ cwd, actor: 'tester', reason: null, params: paramsOf(cwd) });
const start = (percent = 10) => startCanary({ ...options(), version: next, percent });
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Writes down that a version served images which no one had before, as they come in practice: none like the other. */
function serve(version: number, images: number, measured: Partial<Served> = {}, name = ''): void {
  const store = openStore(cwd);
  const canary = servingCanary(store) ?? null;
  const random = Random.from(7, 'served', version, name);
  for (let image = 0; image < images; image++) {
    recordServed(store, {
      inputSha256: hashOf(`${version} ${canary?.percent} ${name} ${image}`),
      version,
      canary,
      seconds: (measured.seconds ?? 1) * (0.9 + 0.2 * random.uniform()),
      tiles: 4,
      pixels: 1_000_000,
      failure: measured.failure ?? null,
      consistency: measured.failure === undefined ? (measured.consistency ?? 40) + random.uniform() : null,
    });
  }
  store.close();
}

describe('the share of the inputs', () => {
  const hashes = Array.from({ length: 1500 }, (_, index) => hashOf(String(index)));

  it('is that of the inputs, the same for one input ever again, and only grows as it is raised', () => {
    const percents = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), percents, (id, [one, other]) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const chosen = (percent: number) => hashes.filter((hash) => goesToCanary({ id, percent }, hash));
        const [few, many] = [chosen(less), chosen(more)];
        expect(many).toEqual(expect.arrayContaining(few));
        // Five standard deviations of a binomial share.
        expect(Math.abs(many.length / hashes.length - more / 100)).toBeLessThan(
          5 * Math.sqrt(0.25 / hashes.length),
        );
      }),
      { numRuns: 10, seed: 1 },
    );
  });

  it('is another set of inputs for another canary', () => {
    const chosen = (id: number) => hashes.filter((hash) => goesToCanary({ id, percent: 10 }, hash));
    const both = chosen(1).filter((hash) => goesToCanary({ id: 2, percent: 10 }, hash));
    expect(both.length).toBeLessThan(0.25 * chosen(1).length);
  });
});

describe('registry canary start', () => {
  it('promotes the version to its stage, past the gates, and begins; the history says so', async () => {
    expect(await start()).toMatchObject({ version: next, production, percent: 10, status: 'running' });
    const { stage, history } = show(cwd, next);
    expect(stage).toBe('canary');
    expect(history.at(-1)).toMatchObject({ kind: 'canary-started', reason: 'canary 1 at 10 %' });
    await verifyAll(cwd);
  });

  it('is refused by a gate of the stage, and leaves no canary behind', async () => {
    setRegistry(cwd, '  gates:\n    canary: { metrics: { psnr: { min: 99 } } }\n');
    const { code, stderr } = await hndsr(cwd, 'registry', 'canary', 'start', String(next));
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/^error GATE_NOT_MET: .*\n.*NOT MET {2}psnr >= 99/),
    ]);
    expect((await errorOf(() => canaryStatus(cwd, paramsOf(cwd)))).message).toBe(
      'no canary was ever started',
    );
  });

  it('is refused for the version in production, beside another canary, and without production', async () => {
    const own = await errorOf(startCanary({ ...options(), version: production, percent: 10 }));
    expect(own.message).toBe(`version ${production} is in production already`);
    await start();
    const another = await addVersion(cwd);
    const second = await errorOf(startCanary({ ...options(), version: another, percent: 10 }));
    expect([second.code, second.message]).toEqual([
      'PROMOTION_NOT_ALLOWED',
      `version ${next} is a canary already`,
    ]);
    stopCanary(options());
    await promote(promotion(cwd, production, 'archived'));
    expect((await errorOf(start())).message).toBe('no version is in production');
  });
});

describe('registry canary step', () => {
  it('raises the share by evidence, 10 -> 30 -> 50 -> production, and waits for images that it has not seen', async () => {
    await start();
    expect(await stepCanary(options())).toMatchObject({ outcome: 'waiting' });
    serve(production, IMAGES);
    serve(next, IMAGES - 1);
    // The same image again is no evidence.
    serve(next, IMAGES - 1);
    const waiting = await stepCanary(options());
    expect(waiting.verdict.findings[0]).toBe(`canary at this share has ${IMAGES - 1} of ${IMAGES} images`);
    for (const percent of [30, 50]) {
      serve(next, IMAGES);
      expect(await stepCanary(options())).toMatchObject({ outcome: 'raised', canary: { percent } });
      expect(canaryStatus(cwd, paramsOf(cwd))).toMatchObject({ canary: { percent }, serving: true });
      // What was served at the share before does not count for this one.
      expect(await stepCanary(options())).toMatchObject({ outcome: 'waiting' });
    }
    serve(next, IMAGES);
    expect(await stepCanary(options())).toMatchObject({
      outcome: 'promoted',
      canary: { status: 'promoted' },
    });
    expect([show(cwd, next).stage, show(cwd, production).stage]).toEqual(['production', 'archived']);
    const told = show(cwd, next).history.map(({ kind, reason }) => `${kind} ${reason}`);
    expect(told.filter((line) => line.startsWith('canary-raised'))).toEqual([
      expect.stringMatching(/canary 1 10 % -> 30 %: failures \+0\.000 .*; consistency .* dB; time .* s\/Mpx/),
      expect.stringContaining('canary 1 30 % -> 50 %'),
    ]);
    await verifyAll(cwd);
  });

  it.each([
    ['consistency', { consistency: 39 }],
    ['time', { seconds: 2 }],
    ['failures', { failure: 'OUT_OF_MEMORY' }],
  ])('rolls back by itself where %s is worse, before the share is raised', async (what, measured) => {
    await start();
    serve(production, IMAGES);
    serve(next, 10, measured);
    const { code, stdout } = await hndsr(cwd, 'registry', 'canary', 'step');
    expect(code).toBe(3);
    expect(stdout).toContain(`version ${next} was rolled back: it is worse than production\n`);
    expect(stdout).toContain(`WORSE ${what}`);
    const { stage, history } = show(cwd, next);
    expect(stage).toBe('archived');
    expect(history.at(-1)).toMatchObject({ kind: 'rolled-back', fromStage: 'canary', toStage: 'archived' });
    expect(history.at(-1)!.reason).toContain(`rolled back from 10 %: `);
    expect(show(cwd, production).stage).toBe('production');
    expect((await errorOf(stepCanary(options()))).message).toBe('no canary is running');
    await verifyAll(cwd);
  });

  it('takes no small difference for a worse version, nor a large one of few images', async () => {
    await start();
    serve(production, IMAGES);
    serve(next, IMAGES, { consistency: 39.98, seconds: 1.3 });
    expect(await stepCanary(options())).toMatchObject({ outcome: 'raised' });
    stopCanary(options());
    const third = await addVersion(cwd);
    await startCanary({ ...options(), version: third, percent: 10 });
    serve(production, IMAGES, {}, 'again');
    serve(third, 5, { consistency: 20 });
    expect(await stepCanary(options())).toMatchObject({ outcome: 'waiting' });
  });

  it('asks the gates of production last, and keeps the share where they refuse', async () => {
    await start(50);
    serve(production, IMAGES);
    serve(next, IMAGES);
    setRegistry(
      cwd,
      `  gates:\n    production: { metrics: { psnr: { min: 99 } } }\n  canary: { min_images: ${IMAGES} }\n`,
    );
    const error = await errorOf(stepCanary(options()));
    expect([error.code, error.exitCode]).toEqual(['GATE_NOT_MET', 3]);
    expect(canaryStatus(cwd, paramsOf(cwd))).toMatchObject({ canary: { percent: 50 }, serving: true });
    expect(show(cwd, production).stage).toBe('production');
  });

  it('ends when another version comes into production by other means', async () => {
    await start();
    const third = await addVersion(cwd);
    await promote(promotion(cwd, third, 'production'));
    expect(canaryStatus(cwd, paramsOf(cwd))).toMatchObject({ serving: false });
    expect((await errorOf(stepCanary(options()))).message).toContain('another version is in production');
    expect(await start(20)).toMatchObject({ id: 2, production: third, percent: 20 });
  });
});

describe('registry canary status', () => {
  it('compares both sides: counts, percentiles, differences with their intervals', async () => {
    await start();
    serve(production, 50, { seconds: 1, consistency: 40 });
    serve(production, 2, { failure: 'INPUT_INVALID' }, 'failed');
    serve(next, 30, { seconds: 1.2, consistency: 40.5 });
    const { evidence } = canaryStatus(cwd, paramsOf(cwd));
    expect(evidence).toMatchObject({
      production: { version: production, images: 52, failures: 2, tiles: 200 },
      canary: { version: next, images: 30, failures: 0, tiles: 120 },
      imagesAtShare: 30,
    });
    const { p50, p95, p99 } = evidence.production.seconds!;
    expect(p50).toBeCloseTo(1, 1);
    expect(p50 < p95 && p95 < p99 && p99 < 1.1).toBe(true);
    const { consistency, secondsPerMegapixel, failures } = evidence.differences;
    // Both sides vary evenly over 1 dB and 0.2 s: the interval's half is 1.96 standard errors.
    const error = (width: number): number => 1.96 * width * Math.sqrt((1 / 50 + 1 / 30) / 12);
    for (const [{ mean, low, high }, expected, width] of [
      [consistency!, 0.5, 1],
      [secondsPerMegapixel!, 0.2, 0.22],
    ] as const) {
      expect(Math.abs(mean - expected)).toBeLessThan(2 * error(width));
      expect(high - low).toBeGreaterThan(0.7 * 2 * error(width));
      expect(high - low).toBeLessThan(1.4 * 2 * error(width));
      expect(mean).toBeGreaterThan(low);
    }
    expect(failures!.mean).toBeCloseTo(-2 / 52, 9);
    const { stdout } = await hndsr(cwd, 'registry', 'canary', 'status');
    expect(stdout).toMatch(
      new RegExp(`^version ${next} serves 10 % of the inputs, beside version ${production}\\n`),
    );
    expect(stdout).toMatch(/production +\d+ +52 +2 +200 +[01]\.\d\d/);
  });
});
