import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HndsrEvent, silent } from '../../src/events.js';
import { type ExportOptions, exportJob } from '../../src/inference/export.js';
import { upscaleJob } from '../../src/inference/upscale.js';
import { writeCheckpoint } from '../../src/models/checkpoint.js';
import { STAGES } from '../../src/models/hndsr.js';
import { encodePng, readImage } from '../../src/raster/image.js';
import { uniform } from '../compute/compare.js';
import { metadataOf, tinyCheckpoints, tinyParams } from '../models/tiny.js';
import { registerTiny, tinyUpscale } from './registered-tiny.js';

const params = tinyParams('training.crop=16', 'upscale.overlap=5', 'upscale.batch=3');
const [WIDTH, HEIGHT] = [13, 11];
let cwd: string;

/** Of versions 1 and 2: the same weights, trained at one scale and at several. */
const TRAINED_SCALES = [undefined, { from: 2, to: 4 }];

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'hndsr-export-'));
  for (const scales of TRAINED_SCALES) await registerTiny(cwd, params, scales);
  const { data } = uniform([HEIGHT, WIDTH, 3], 'scene');
  const image = { width: WIDTH, height: HEIGHT, bands: 3, data: Uint8Array.from(data, (one) => 255 * one) };
  writeFileSync(join(cwd, 'scene.png'), await encodePng(image));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const exported = (options: Partial<ExportOptions> = {}, context = silent) =>
  exportJob({ cwd, params, output: 'onnx', scale: 4, version: 1, overwrite: false, ...options }, context);

/** An 8-bit image by the exported file alone, as someone elsewhere would run it. */
async function runElsewhere(model: string): Promise<{ width: number; height: number; data: Uint8Array }> {
  const { data, width, height } = await readImage(join(cwd, 'scene.png'), { maxPixels: 1e6 });
  const points = width * height;
  const planes = Float32Array.from(data, (_, index) => {
    return data[(index % points) * 3 + Math.floor(index / points)]! / 255;
  });
  const session = await ort.InferenceSession.create(readFileSync(model), { logSeverityLevel: 3 });
  const low = new ort.Tensor('float32', planes, [1, 3, height, width]);
  const found = (await session.run({ low_resolution: low })).super_resolution!;
  await session.release();
  const [, , high, wide] = found.dims as [number, number, number, number];
  const values = found.data as Float32Array;
  const pixels = Uint8Array.from(values, (_, index) =>
    Math.round(255 * values[(index % 3) * wide * high + Math.floor(index / 3)]!),
  );
  return { width: wide, height: high, data: pixels };
}

describe('an export', () => {
  it.each([4, 2.5])('of scale %d gives what upscale gives at strength 0, to a level', async (scale) => {
    const output = `onnx-${scale}`;
    const { files } = await exported({ output, scale });
    expect(files.map(({ path }) => path).sort()).toEqual(
      readdirSync(join(cwd, output))
        .map((name) => join(cwd, output, name))
        .sort(),
    );
    for (const { path, bytes } of files) expect(statSync(path).size).toBe(bytes);
    const settings = {
      inputs: ['scene.png'],
      output: `${scale}.png`,
      target: { kind: 'scale', scale } as const,
      sampling: { steps: 1, strength: 0, eta: 0 },
    };
    await upscaleJob(tinyUpscale(cwd, params, settings), silent);
    const expected = await readImage(join(cwd, `${scale}.png`), { maxPixels: 1e6 });
    const found = await runElsewhere(join(cwd, output, `model-x${scale}.onnx`));
    expect([found.width, found.height]).toEqual([expected.width, expected.height]);
    const apart = found.data.map((level, index) => Math.abs(level - expected.data[index]!));
    expect(Math.max(...apart)).toBeLessThanOrEqual(1);
  });

  it('never replaces a file unless it is told to', async () => {
    await exported({ output: 'once' });
    const path = join(cwd, 'once', 'decoder.onnx');
    writeFileSync(path, 'mine');
    await expect(exported({ output: 'once' })).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining(join('once', 'model-x4.onnx')),
      hint: expect.stringContaining('--overwrite'),
    });
    // Of another scale, but with files of the same names.
    await expect(exported({ output: 'once', scale: 2 })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    await exported({ output: 'once', overwrite: true });
    expect(readFileSync(path, 'utf8')).not.toBe('mine');
  });

  it('to a name that ends in .onnx is the scene model alone', async () => {
    const folder = await exported({ output: 'whole' });
    const { output, files } = await exported({ output: 'alone/x4.onnx' });
    expect(files.map(({ path }) => path)).toEqual([output]);
    expect(readdirSync(join(cwd, 'alone'))).toEqual(['x4.onnx']);
    expect(readFileSync(output).equals(readFileSync(folder.files[0]!.path))).toBe(true);
    await expect(exported({ output: 'alone/x4.onnx' })).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining(join('alone', 'x4.onnx')),
    });
  });

  it("takes the project's checkpoints, where that is asked for", async () => {
    const missing = exported({ output: 'none', checkpoints: true });
    await expect(missing).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
    for (const stage of STAGES) {
      const { tensors } = tinyCheckpoints(params)[stage];
      const path = join(cwd, 'checkpoints', stage, 'best.safetensors');
      await writeCheckpoint(path, metadataOf(stage, params), tensors);
    }
    const { version, files } = await exported({ output: 'trained', checkpoints: true });
    expect(version).toBeNull();
    const registered = (await exported({ output: 'registered' })).files;
    for (const [index, { path }] of files.entries()) {
      const [here, there] = [readFileSync(path), readFileSync(registered[index]!.path)];
      // The number of the version, with its name and their lengths, is all that they differ in.
      const at = there.indexOf('model_version') - 4;
      expect(here.equals(Buffer.concat([there.subarray(0, at), there.subarray(at + 20)])), path).toBe(true);
    }
  });

  it('writes the same bytes each time', async () => {
    const [a, b] = [await exported({ output: 'a' }), await exported({ output: 'b' })];
    for (const [index, { path }] of a.files.entries()) {
      expect(readFileSync(path).equals(readFileSync(b.files[index]!.path)), path).toBe(true);
    }
  });

  it('takes the version in production unless one is named, and says what to do where there is none', async () => {
    const unnamed = { cwd, params, output: 'none', scale: 4, overwrite: false };
    await expect(exportJob(unnamed, silent)).rejects.toMatchObject({
      code: 'VERSION_MISSING',
      hint: expect.stringContaining('promote'),
    });
    await expect(exported({ output: 'none', version: 7 })).rejects.toMatchObject({ code: 'VERSION_MISSING' });
    expect(readdirSync(cwd)).not.toContain('none');
  });

  it('warns of a scale that the version was not trained at', async () => {
    const events: HndsrEvent[] = [];
    const context = { emit: (event: HndsrEvent) => events.push(event), interrupted: () => false };
    await exported({ output: 'warned', scale: 3 }, context);
    expect(events).toEqual([
      { kind: 'message', level: 'warning', text: expect.stringContaining('trained and measured at x4') },
    ]);
  });

  it('says nothing of a scale between those that the version was trained at', async () => {
    const events: HndsrEvent[] = [];
    const context = { emit: (event: HndsrEvent) => events.push(event), interrupted: () => false };
    await exported({ output: 'between', scale: 3, version: 2 }, context);
    expect(events).toEqual([]);
    await exported({ output: 'beyond', scale: 5, version: 2 }, context);
    expect(events).toEqual([
      { kind: 'message', level: 'warning', text: expect.stringContaining('trained at x2 to x4') },
    ]);
  });

  it('that is interrupted leaves nothing half-written', async () => {
    let asked = 0;
    const context = { emit: () => {}, interrupted: () => asked++ === 2 };
    await expect(exported({ output: 'stopped' }, context)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(readdirSync(join(cwd, 'stopped')).sort()).toEqual(['model-x4.onnx', 'operator.onnx']);
  });
});
