import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { requiredNode } from '../version.js';
import { memoryLimit } from './memory.js';

export interface NodeHealth {
  version: string;
  required: string;
  supported: boolean;
}

export interface MachineHealth {
  platform: string;
  processor: string;
  threads: number;
  /** Bytes; the limit is that of a container or service, null without one. */
  memory: { total: number; free: number; limit: number | null };
}

/** @param required as `engines` of package.json has it, `>=20.19` */
export function checkNode(version = process.versions.node, required = requiredNode()): NodeHealth {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  const [leastMajor, leastMinor = 0] = required.replace('>=', '').split('.').map(Number) as [number, number?];
  return {
    version,
    required,
    supported: major > leastMajor || (major === leastMajor && minor >= leastMinor),
  };
}

export async function checkMachine(): Promise<MachineHealth> {
  return {
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    memory: { total: totalmem(), free: freemem(), limit: await memoryLimit() },
  };
}
