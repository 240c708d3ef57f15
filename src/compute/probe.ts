import { existsSync } from 'node:fs';
import type { GraphDevice } from './graph/engine.js';
import { askProcess } from './own-process.js';
import type { NativeTensorflow, TensorflowMissing } from './tensorflow.js';

/** Whether something can compute here. */
export interface Probe {
  engine: 'onnx' | 'tensorflow';
  device: string;
  usable: boolean;
  /** Why, or why not, in words for a person. */
  reason: string;
  version: string | null;
}

/** What a device's small known work gave, from a process of its own. */
export interface DeviceReport {
  /** Milliseconds for one run of it, once warm. */
  milliseconds: number;
  /** ONNX Runtime's. */
  version: string;
}

/** A driver that hangs is given up after this long. */
const TIMEOUT_MS = 60_000;

/**
 * Runs known work on a device, in a process of its own, so that a driver that crashes or hangs takes nothing down.
 * @returns the report, or the reason why the device cannot be used
 */
export function reportOf(device: GraphDevice): Promise<DeviceReport | { reason: string; version?: string }> {
  return askProcess(new URL('./probe-program.js', import.meta.url), [device], TIMEOUT_MS);
}

/**
 * Whether a GPU can be there at all, without asking a driver, which takes half a second: on Linux it shows as a
 * device file, unless a Vulkan driver is named by hand.
 */
export function mayHaveGpu(): boolean {
  if (process.platform !== 'linux') return true;
  if (process.env.VK_ICD_FILENAMES !== undefined || process.env.VK_DRIVER_FILES !== undefined) return true;
  return ['/dev/dri', '/dev/nvidia0', '/dev/dxg', '/dev/kfd'].some((path) => existsSync(path));
}

/** What to do where a device cannot be used. */
export const DEVICE_HINTS: Record<string, string> = {
  webgpu:
    'It needs a GPU with a Vulkan, Metal or Direct3D 12 driver: on Debian, libvulkan1 and the driver (mesa-vulkan-drivers or that of NVIDIA).',
  cuda: 'Install CUDA 12 and cuDNN 9, then run `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node`, which downloads the provider.',
  cpu: 'Reinstall the package onnxruntime-node for this platform.',
  tensorflow:
    'Run `npm install @tensorflow/tfjs-node-gpu` (CUDA 11.2, cuDNN 8.1) or `npm install @tensorflow/tfjs-node`; both download libtensorflow.',
};

/** Every engine and device that this version knows, tried. */
export async function probeDevices(): Promise<Probe[]> {
  const onnx = (['cpu', 'webgpu', 'cuda'] as const).map(async (device): Promise<Probe> => {
    const report = await reportOf(device);
    const usable = !('reason' in report);
    const reason = usable
      ? `known work is right, in ${report.milliseconds.toFixed(1)} ms`
      : `${report.reason}. ${DEVICE_HINTS[device]}`;
    return { engine: 'onnx', device, usable, reason, version: report.version ?? null };
  });
  return [...(await Promise.all(onnx)), await probeTensorflow()];
}

async function probeTensorflow(): Promise<Probe> {
  // Its library ends the process where it does not suit the processor or the driver.
  const program = new URL('./tensorflow-program.js', import.meta.url);
  const found = await askProcess<NativeTensorflow | TensorflowMissing>(program, [], TIMEOUT_MS);
  if ('reason' in found) {
    const reason = `${found.reason}. ${DEVICE_HINTS.tensorflow}`;
    return { engine: 'tensorflow', device: 'cuda', usable: false, reason, version: null };
  }
  const device = found.gpu ? 'cuda' : 'cpu';
  const reason = `${found.name} loaded${found.gpu ? ' and sees a GPU' : ', without a GPU'}`;
  return { engine: 'tensorflow', device, usable: true, reason, version: found.version };
}
