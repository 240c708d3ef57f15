import { expect, it } from 'vitest';
import { loadTensorflow, restoreRemovedUtilities } from '../../src/compute/tensorflow.js';

const missing = (name: string): never => {
  throw Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' });
};

it('takes the package with a GPU first, and says what it found', async () => {
  const asked: string[] = [];
  const found = await loadTensorflow(async (name) => {
    asked.push(name);
    return { version: { 'tfjs-node': '4.22.0' }, backend: () => ({ isUsingGpuDevice: true }) };
  });
  expect(asked).toEqual(['@tensorflow/tfjs-node-gpu']);
  expect(found).toEqual({ name: '@tensorflow/tfjs-node-gpu', version: '4.22.0', gpu: true });
});

it('takes the other where the first does not load', async () => {
  const found = await loadTensorflow(async (name) => {
    if (name.endsWith('-gpu')) return missing(name);
    return { version: { tfjs: '4.22.0' }, backend: () => ({ isUsingGpuDevice: false }) };
  });
  expect(found).toEqual({ name: '@tensorflow/tfjs-node', version: '4.22.0', gpu: false });
});

it('keeps the reason of each that did not load', async () => {
  const found = await loadTensorflow(async (name) => {
    if (!name.endsWith('-gpu')) return missing(name);
    throw new Error('libtensorflow.so.2: cannot open shared object file\nand more');
  });
  expect(found).toEqual({
    reason:
      '@tensorflow/tfjs-node-gpu: libtensorflow.so.2: cannot open shared object file; @tensorflow/tfjs-node: not installed',
  });
});

it('puts back what newer Node took from node:util, and leaves what is there', () => {
  const isString = (): boolean => false;
  const target: Record<string, (value: unknown) => boolean> = { isString };
  restoreRemovedUtilities(target);
  expect(target.isString).toBe(isString);
  expect([null, undefined, 0].map((value) => target.isNullOrUndefined!(value))).toEqual([true, true, false]);
  expect([[], 'a'].map((value) => target.isArray!(value))).toEqual([true, false]);
  expect([1, '1'].map((value) => target.isNumber!(value))).toEqual([true, false]);
});
