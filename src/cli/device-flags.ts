import { type Command, Option } from 'commander';
import type { ComputeChoice } from '../compute/select.js';

/** As in compute/select.ts, which would load ONNX Runtime before --help is printed. */
const ENGINES: NonNullable<ComputeChoice['engine']>[] = ['auto', 'tensorflow', 'onnx'];
const DEVICES: NonNullable<ComputeChoice['device']>[] = ['auto', 'cpu', 'webgpu', 'cuda'];

export interface DeviceFlags {
  engine: NonNullable<ComputeChoice['engine']>;
  device: NonNullable<ComputeChoice['device']>;
}

/** --engine and --device, as every command that computes takes them. */
export function withDeviceFlags(command: Command): Command {
  return command
    .addOption(new Option('--engine <engine>', 'what computes').choices(ENGINES).default('auto'))
    .addOption(new Option('--device <device>', 'where it computes').choices(DEVICES).default('auto'));
}

/** The flags as the library takes them. */
export function computeChoice({ engine, device }: DeviceFlags): ComputeChoice {
  return { engine, device };
}
