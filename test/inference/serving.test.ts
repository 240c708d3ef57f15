import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng } from '../../src/raster/image.js';
import { canaryStatus, startCanary, stopCanary } from '../../src/registry/canary.js';
import { promote } from '../../src/registry/promote.js';
import { show } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { goesToCanary } from '../../src/store/serving.js';
import { openStore } from '../../src/store/store.js';
import { hndsr } from '../cli/tiny-project.js';
import { makeProject, paramsOf, promotion, setRegistry } from '../registry/project.js';
import { addUsableVersion } from '../registry/usable-model.js';

const IMAGES = 6;

let cwd: string;
let production: number;
let next: number;
beforeAll(async () => {
  cwd = makeProject();
  setRegistry(cwd, '  gates: {}\n  canary: { min_images: 2 }\n');
  production = await addUsableVersion(cwd, { seed: 1 });
  next = await addUsableVersion(cwd, { seed: 2, strength: 0.2 });
  await promote(promotion(cwd, production, 'production'));
  for (let image = 0; image < IMAGES; image++) {
    const data = Uint8Array.from({ length: 300 }, (_, index) => (index * (image + 3)) % 200);
    writeFileSync(join(cwd, `scene${image}.png`), await encodePng({ width: 10, height: 10, bands: 3, data }));
  }
});
afterAll(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const who = () => ({ cwd, actor: 'tester', reason: null, params: paramsOf(cwd) });

/** The command as users run it: the operator alone, x4. */
async function upscale(
  image: number,
  ...words: string[]
): Promise<{ code: number | undefined; stderr: string }> {
  const files = [`scene${image}.png`, '-o', `out${image}.png`, '--overwrite'];
  const quick = ['--strength', '0', '--device', 'cpu', '--seed', '1', '-S', 'upscale.overlap=5'];
  return hndsr(cwd, 'upscale', ...files, ...quick, ...words);
}

async function done(image: number, ...words: string[]): Promise<void> {
  const { code, stderr } = await upscale(image, ...words);
  expect(code, stderr).toBe(0);
}

function servedRows(): Record<string, unknown>[] {
  const store = openStore(cwd);
  const rows = store.database.prepare('SELECT * FROM served ORDER BY id').all() as Record<string, unknown>[];
  store.close();
  return rows;
}

describe.sequential('while a canary runs, hndsr upscale', () => {
  it('writes nothing down before', async () => {
    await done(0, '-o', 'before.png');
    expect(servedRows()).toEqual([]);
  }, 240_000);

  it('sends it its share of the inputs, by their content, and writes down what came of each', async () => {
    const { id } = await startCanary({ ...who(), version: next, percent: 50 });
    const expected: number[] = [];
    for (let image = 0; image < IMAGES; image++) {
      const inputSha256 = createHash('sha256')
        .update(readFileSync(join(cwd, `scene${image}.png`)))
        .digest('hex');
      expected.push(goesToCanary({ id, percent: 50 }, inputSha256) ? next : production);
      await done(image);
      expect(servedRows().at(-1)).toMatchObject({
        input_sha256: inputSha256,
        version: expected[image],
        canary: id,
      });
    }
    expect(new Set(expected).size).toBe(2);
    for (const { tiles, pixels, seconds, consistency, failure } of servedRows()) {
      expect([tiles, pixels, failure]).toEqual([16, 1600, null]);
      // A model that adds next to nothing to bicubic agrees with its input.
      expect(Number(seconds) > 0 && Number(consistency) > 20 && Number(consistency) <= 100).toBe(true);
    }
    const { evidence } = canaryStatus(cwd, paramsOf(cwd));
    expect(evidence.canary.images + evidence.production.images).toBe(IMAGES);
    expect(evidence.canary.consistency!).toBeLessThan(evidence.production.consistency!);
  }, 240_000);

  it('runs both with --shadow, gives what production made, and writes down how they differ', async () => {
    // A version that is named is no canary's matter.
    const before = servedRows().length;
    await done(1, '--model', 'production');
    expect(servedRows()).toHaveLength(before);
    const alone = readFileSync(join(cwd, 'out1.png'));
    await done(1, '--shadow');
    expect(readFileSync(join(cwd, 'out1.png'))).toEqual(alone);
    const [served, shadow] = servedRows().slice(before);
    expect([served!.version, shadow!.version, shadow!.shadow_of]).toEqual([production, next, served!.id]);
    const { evidence } = canaryStatus(cwd, paramsOf(cwd));
    expect(evidence.shadow).toMatchObject({ images: 1, failures: 0, agreement: shadow!.agreement });
    expect(evidence.shadow!.agreement!).toBeGreaterThan(5);
    expect(evidence.shadow!.consistency!.mean).toBeLessThan(0);
  }, 240_000);

  it('compares pictures that are made in strips, too', async () => {
    const data = Uint8Array.from({ length: 520 * 4 * 3 }, (_, index) => (index * 7) % 200);
    writeFileSync(join(cwd, 'scene9.png'), await encodePng({ width: 520, height: 4, bands: 3, data }));
    const agreements: number[] = [];
    for (const [words, strips] of [
      [[], false],
      [['--memory', String(504e6)], true],
    ] as const) {
      const { code, stderr } = await upscale(9, '--shadow', ...words);
      expect([code, stderr.includes('2 strips')]).toEqual([0, strips]);
      const [served, shadow] = servedRows().slice(-2);
      // What spans strips is not compared with the input.
      expect([served!.consistency === null, shadow!.consistency === null]).toEqual([strips, strips]);
      agreements.push(Number(shadow!.agreement));
    }
    expect(agreements[1]).toBeCloseTo(agreements[0]!, 6);
  }, 240_000);

  it('gives what production made where the shadow fails, and counts a failure of the canary as its own', async () => {
    stopCanary(who());
    await startCanary({ ...who(), version: next, percent: 99 });
    const path = objectPath(cwd, show(cwd, next).artifacts[0]!.sha256);
    const bytes = readFileSync(path);
    chmodSync(path, 0o644);
    writeFileSync(path, 'damaged');
    await done(2, '--shadow');
    expect(servedRows().at(-1)).toMatchObject({ version: next, failure: 'HASH_MISMATCH', agreement: null });
    const { code, stderr } = await upscale(3, '-o', 'again.png');
    expect([code, stderr]).toEqual([1, expect.stringContaining('error HASH_MISMATCH')]);
    expect(canaryStatus(cwd, paramsOf(cwd)).evidence.canary).toMatchObject({ images: 1, failures: 1 });
    writeFileSync(path, bytes);
  }, 240_000);

  it('says what to do where there is none to run in the shadow', async () => {
    stopCanary(who());
    await promote({ ...who(), version: next, to: 'archived' });
    const { code, stderr } = await upscale(4, '--shadow');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('no version is in stage canary to run in the shadow'),
    ]);
  });
});
