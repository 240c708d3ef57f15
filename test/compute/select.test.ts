import { describe, expect, it } from 'vitest';
import { HndsrError } from '../../src/errors.js';
import { hasSoftwareVulkan, NEEDS_VULKAN, VULKAN_ENVIRONMENT } from './software-vulkan.js';

/** The compiled module, as users run it: it starts processes of its own. */
const SELECT = new URL('../../dist/compute/select.js', import.meta.url).href;
const { selectEngine } = (await import(SELECT)) as typeof import('../../src/compute/select.js');
const PROBE = new URL('../../dist/compute/probe.js', import.meta.url).href;
const { probeDevices } = (await import(PROBE)) as typeof import('../../src/compute/probe.js');

const square = async (choice: Parameters<typeof selectEngine>[0]) => {
  const { engine, reason } = await selectEngine(choice);
  const program = await engine.compile(({ x }) => ({ y: x!.square() }), { inputs: { x: [2] } });
  const { y } = await program.run({ x: { shape: [2], data: Float32Array.of(2, -3) } });
  expect([...y!.data]).toEqual([4, 9]);
  await engine.dispose();
  return { name: engine.name, device: engine.device, reason };
};

const refusal = async (choice: Parameters<typeof selectEngine>[0]): Promise<HndsrError> => {
  const error = await selectEngine(choice).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  // Of another copy of the class: the compiled one.
  return HndsrError.fromJSON((error as HndsrError).toJSON());
};

const probes = await probeDevices();
const usable = (engine: string, device: string): boolean =>
  probes.some((one) => one.engine === engine && one.device === device && one.usable);

describe('the choice of an engine', () => {
  it('is one that computes, with a reason for a person', async () => {
    const { name, reason } = await square({});
    expect(['onnx', 'tensorflow']).toContain(name);
    expect(reason.length).toBeGreaterThan(10);
  });

  it('is the one that was asked for', async () => {
    expect(await square({ device: 'cpu' })).toEqual({
      name: 'onnx',
      device: 'cpu',
      reason: '--device cpu was asked for',
    });
    expect(await square({ engine: 'onnx', device: 'cpu', threads: 1 })).toMatchObject({ name: 'onnx' });
  });

  it.skipIf(usable('onnx', 'cuda'))('says what to do where CUDA is asked for and not there', async () => {
    const error = await refusal({ device: 'cuda' });
    expect(error.code).toBe('ENGINE_UNAVAILABLE');
    expect(error.message).toBe('--device cuda cannot be used: Failed to load shared library');
    expect(error.hint).toContain('ONNXRUNTIME_NODE_INSTALL=cuda12');
  });

  it.skipIf(usable('onnx', 'webgpu'))('says what to do where WebGPU finds no adapter', async () => {
    const error = await refusal({ device: 'webgpu' });
    expect(error.code).toBe('ENGINE_UNAVAILABLE');
    expect(error.message).toBe(
      '--device webgpu cannot be used: Failed to get a WebGPU adapter: No supported adapters',
    );
    expect(error.hint).toContain('libvulkan1');
  });

  it.skipIf(probes.some(({ engine, usable }) => engine === 'tensorflow' && usable))(
    'says what to do where TensorFlow is asked for and does not load',
    async () => {
      const error = await refusal({ engine: 'tensorflow' });
      expect(error.code).toBe('ENGINE_UNAVAILABLE');
      expect(error.message).toMatch(/^--engine tensorflow cannot be used: @tensorflow\/tfjs-node-gpu: /);
      expect(error.hint).toContain('npm install');
    },
  );

  it('refuses a pair that does not exist', async () => {
    const error = await refusal({ engine: 'tensorflow', device: 'webgpu' });
    expect(error.code).toBe('USAGE');
  });

  it.skipIf(!hasSoftwareVulkan)(
    `does not take a GPU that is none (${NEEDS_VULKAN})`,
    async () => {
      Object.assign(process.env, VULKAN_ENVIRONMENT);
      try {
        const { device, reason } = await square({});
        expect([device, reason]).toEqual(['cpu', expect.stringContaining('webgpu works, but is no faster')]);
      } finally {
        for (const name of Object.keys(VULKAN_ENVIRONMENT)) delete process.env[name];
      }
    },
    60_000,
  );
});

it('every engine and device is tried, and says why it cannot be used', () => {
  expect(probes.map(({ engine, device }) => `${engine} ${device}`).slice(0, 3)).toEqual([
    'onnx cpu',
    'onnx webgpu',
    'onnx cuda',
  ]);
  expect(usable('onnx', 'cpu')).toBe(true);
  for (const { reason, usable, version } of probes) {
    expect(reason.length).toBeGreaterThan(10);
    if (usable) expect(version).toMatch(/^\d/);
  }
});
