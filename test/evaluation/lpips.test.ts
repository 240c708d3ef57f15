import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostTensor } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { HndsrError } from '../../src/errors.js';
import { Lpips, lpipsFn, readLpipsWeights } from '../../src/evaluation/lpips.js';
import { readImage, toUnit } from '../../src/raster/image.js';
import { ENGINES, runOnce } from '../compute/compare.js';

const FOLDER = fileURLToPath(new URL('../../../shared/data/lpips/', import.meta.url));
const WEIGHTS = join(FOLDER, 'lpips_squeeze_v0.1.f32.safetensors');
const SHA256 = '60eca0374a9aebdf5f00e90d0fa52483461837abfc9d07eaee9b830f9f2cfdbf';

/** The reference implementation's values for its own example images. */
const KNOWN = { ex_p0: 0.7110476, ex_p1: 0.1479016 };
const TERMS = [0.009891, 0.006903, 0.12881, 0.260978, 0.150681, 0.088142, 0.065643];

const skipped = existsSync(WEIGHTS) ? '' : ' (skipped: the weights are not on this machine)';

describe.skipIf(skipped !== '')(`LPIPS of the reference's example images${skipped}`, () => {
  let weights: Record<string, HostTensor>;
  const images: Record<string, Float32Array> = {};
  beforeAll(async () => {
    weights = await readLpipsWeights(WEIGHTS, SHA256);
    for (const name of ['ex_ref', 'ex_p0', 'ex_p1']) {
      images[name] = toUnit(await readImage(join(FOLDER, `${name}.png`), { maxPixels: 1e6 }));
    }
  });

  describe.each(ENGINES)('on %s', (_name, create) => {
    const engine = create();
    afterAll(() => engine.dispose());

    it('has the known values and the known terms of each layer', async () => {
      const lpips = new Lpips(engine, weights);
      for (const [name, known] of Object.entries(KNOWN)) {
        const { distance } = await lpips.distance(images.ex_ref!, images[name]!, 64, 64);
        expect(Math.abs(distance - known), name).toBeLessThan(1e-4);
      }
      const { terms } = await lpips.distance(images.ex_ref!, images.ex_p0!, 64, 64);
      expect(terms).toHaveLength(7);
      for (const [index, known] of TERMS.entries()) {
        expect(Math.abs(terms[index]! - known), `layer ${index}`).toBeLessThan(1e-4);
      }
    });

    it('is zero for equal images and the same both ways', async () => {
      const lpips = new Lpips(engine, weights);
      expect((await lpips.distance(images.ex_p0!, images.ex_p0!, 64, 64)).distance).toBe(0);
      const [there, back] = [
        await lpips.distance(images.ex_ref!, images.ex_p1!, 64, 64),
        await lpips.distance(images.ex_p1!, images.ex_ref!, 64, 64),
      ];
      expect(back.distance).toBeCloseTo(there.distance, 6);
    });
  });

  it('takes images of any size, each compiled once', async () => {
    const engine = new GraphEngine({ threads: 1 });
    const lpips = new Lpips(engine, weights);
    for (const [width, height] of [
      [33, 47],
      [64, 20],
      [33, 47],
    ] as const) {
      const [a, b] = [0.2, 0.8].map((level) => new Float32Array(width * height * 3).fill(level));
      const { distance } = await lpips.distance(a!, b!, width, height);
      expect(distance).toBeGreaterThan(0);
      expect(Number.isFinite(distance)).toBe(true);
    }
    expect(engine.traces).toBe(2);
    await engine.dispose();
  });

  it('is the same on both engines where the pools round up', async () => {
    const shape = [1, 31, 45, 3];
    const part = (name: string): HostTensor => ({ shape, data: images[name]!.slice(0, 31 * 45 * 3) });
    const found: Float32Array[] = [];
    for (const [, create] of ENGINES) {
      const engine = create();
      found.push(
        (await runOnce(engine, lpipsFn, { a: part('ex_ref'), b: part('ex_p0') }, weights)).terms!.data,
      );
      await engine.dispose();
    }
    for (const [index, term] of found[0]!.entries()) expect(term).toBeCloseTo(found[1]![index]!, 6);
  });
});

describe('LPIPS weights', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hndsr-lpips-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function refusal(path: string): Promise<HndsrError> {
    const error = await readLpipsWeights(path, SHA256).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HndsrError);
    return error as HndsrError;
  }

  it('that are missing are named, with the key that names them', async () => {
    const path = join(folder, 'none.safetensors');
    const error = await refusal(path);
    expect(error.code).toBe('INPUT_MISSING');
    expect(error.message).toBe(`the LPIPS weights were not found at ${path}`);
    expect(error.hint).toContain('evaluation.lpips.weights');
  });

  it('with another hash than the pinned one are refused', async () => {
    const path = join(folder, 'other.safetensors');
    await writeFile(path, 'other weights');
    const error = await refusal(path);
    expect(error.code).toBe('HASH_MISMATCH');
    expect(error.message).toContain(path);
    expect(error.message).toContain(SHA256);
  });
});
