import type { JobContext } from '../events.js';
import { checkDevices, type DeviceHealth } from './devices.js';
import { checkFolders, type FolderHealth } from './folders.js';
import { checkMachine, checkNode, type MachineHealth, type NodeHealth } from './machine.js';
import { checkPackages, type PackageHealth } from './packages.js';

export interface Health {
  /** Whether the work can be done: a cpu that computes rightly, and no usable device that does not. */
  healthy: boolean;
  node: NodeHealth;
  packages: PackageHealth[];
  machine: MachineHealth;
  folders: FolderHealth[];
  devices: DeviceHealth[];
}

/**
 * Looks at everything that hndsr needs of a machine. What is broken is a finding, not an error.
 * @throws HndsrError INTERRUPTED
 */
export async function diagnose(cwd: string, context: JobContext): Promise<Health> {
  const packages = await checkPackages();
  const folders = await checkFolders(cwd);
  const machine = await checkMachine();
  const devices = await checkDevices(context);
  return { healthy: isHealthy(packages, devices), node: checkNode(), packages, machine, folders, devices };
}

export function isHealthy(packages: readonly PackageHealth[], devices: readonly DeviceHealth[]): boolean {
  const usable = devices.filter((one) => one.usable);
  return (
    packages.every(({ working }) => working) &&
    usable.some(({ device }) => device === 'cpu') &&
    usable.every(({ golden }) => golden?.passed === true)
  );
}
