import { HndsrError } from '../errors.js';
import { EagerEngine } from './eager.js';
import type { Engine } from './engine.js';
import { type GraphDevice, GraphEngine } from './graph/engine.js';
import { DEVICE_HINTS, mayHaveGpu, reportOf } from './probe.js';
import { loadTensorflow } from './tensorflow.js';

export const ENGINE_CHOICES = ['auto', 'tensorflow', 'onnx'] as const;
export const DEVICE_CHOICES = ['auto', 'cpu', 'webgpu', 'cuda'] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];
export type DeviceChoice = (typeof DEVICE_CHOICES)[number];

/** What a user asked for; plain data, so that it crosses threads. */
export interface ComputeChoice {
  engine?: EngineChoice;
  device?: DeviceChoice;
  /** Threads within one operator on the cpu; the physical cores unless set. */
  threads?: number;
}

export interface Selection {
  engine: Engine;
  /** Why this one, in words for a person. */
  reason: string;
}

/** A GPU must be faster than the cpu by this at a small convolution to be taken unasked. */
const WORTH_IT = 1.5;

/**
 * The engine and device to run on: what was asked for, or the best that there is (docs/engines.md says in which order
 * they are tried, and why).
 * @throws HndsrError ENGINE_UNAVAILABLE if what was asked for cannot run here; USAGE for a pair that does not exist
 */
export async function selectEngine(choice: ComputeChoice = {}): Promise<Selection> {
  const { engine = 'auto', device = 'auto' } = choice;
  if (engine === 'tensorflow') {
    if (device === 'webgpu') {
      throw new HndsrError('USAGE', '--engine tensorflow does not run on --device webgpu', {
        hint: 'Use --engine onnx for WebGPU.',
      });
    }
    return selectTensorflow(device);
  }
  if (device !== 'auto') return selectOnnx(device, choice, `--device ${device} was asked for`);
  return automatic(engine === 'auto', choice);
}

/** What is chosen, as one line for a person. */
export function describeSelection({ engine, reason }: Selection): string {
  return `engine ${engine.name} on ${engine.device}: ${reason}`;
}

/** The fastest that can be used: a GPU if there is one, else the cpu. */
async function automatic(withTensorflow: boolean, choice: ComputeChoice): Promise<Selection> {
  const against: string[] = [];
  if (withTensorflow) {
    const native = await loadTensorflow();
    if (!('reason' in native) && native.gpu) {
      return {
        engine: new EagerEngine('tensorflow', 'cuda'),
        reason: `${native.name} loaded and sees a GPU`,
      };
    }
    against.push(
      'reason' in native ? 'no native TensorFlow.js could be loaded' : `${native.name} sees no GPU`,
    );
  }
  if (!mayHaveGpu()) against.push('this machine shows no GPU');
  else {
    const cpu = await reportOf('cpu');
    for (const device of ['cuda', 'webgpu'] as const) {
      const report = await reportOf(device);
      if ('reason' in report) against.push(`${device}: ${report.reason}`);
      else if ('reason' in cpu || report.milliseconds * WORTH_IT <= cpu.milliseconds) {
        const reason = `${device} is usable and faster than the cpu at a small convolution`;
        return { engine: graphEngine(device, choice), reason };
      } else against.push(`${device} works, but is no faster than the cpu`);
    }
  }
  return {
    engine: graphEngine('cpu', choice),
    reason: `${against.join('; ')}; ONNX Runtime is fastest on the cpu`,
  };
}

async function selectOnnx(device: GraphDevice, choice: ComputeChoice, reason: string): Promise<Selection> {
  // ONNX Runtime's cpu provider is part of it: if that does not load, the first compilation says so.
  if (device !== 'cpu') {
    const report = await reportOf(device);
    if ('reason' in report) throw unavailable(`--device ${device} cannot be used: ${report.reason}`, device);
  }
  return { engine: graphEngine(device, choice), reason };
}

async function selectTensorflow(device: 'auto' | 'cpu' | 'cuda'): Promise<Selection> {
  const native = await loadTensorflow();
  if ('reason' in native)
    throw unavailable(`--engine tensorflow cannot be used: ${native.reason}`, 'tensorflow');
  const found = native.gpu ? 'cuda' : 'cpu';
  if (device !== 'auto' && device !== found) {
    const but = native.gpu ? 'runs on the GPU that it sees' : 'sees no GPU';
    throw unavailable(`--device ${device} cannot be used: ${native.name} ${but}`, 'tensorflow');
  }
  const reason = `--engine tensorflow was asked for; ${native.name} ${native.version} loaded`;
  return { engine: new EagerEngine('tensorflow', found), reason };
}

function graphEngine(device: GraphDevice, { threads }: ComputeChoice): GraphEngine {
  return new GraphEngine({ device, ...(threads === undefined ? {} : { threads }) });
}

function unavailable(message: string, what: string): HndsrError {
  return new HndsrError('ENGINE_UNAVAILABLE', message, {
    hint: `${DEVICE_HINTS[what]} \`hndsr doctor\` shows what this machine can run on.`,
  });
}
