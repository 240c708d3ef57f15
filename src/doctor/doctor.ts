import type { JobContext } from '../events.js';
import { checkDevices, type DeviceHealth } from './devices.js';
import {
  checkFolders,
  checkMachine,
  checkNode,
  checkPackages,
  type FolderHealth,
  type MachineHealth,
  type NodeHealth,
  type PackageHealth,
} from './machine.js';

export interface Health {
  /** Whether the work can be done: a cpu that computes rightly, and no usable device that does not. */
  healthy: boolean;
  node: NodeHealth;
  packages: PackageHealth[];
  machine: MachineHealth;
  folders: FolderHealth[];
  devices: DeviceHealth[];
}

/** Looks at everything that hndsr needs of a machine. Throws nothing: what is broken is a finding. */
export async function diagnose(cwd: string, context: JobContext): Promise<Health> {
  const report = (what: string): void =>
    context.emit({ kind: 'message', level: 'info', text: `checking ${what}` });
  const packages = await checkPackages();
  const folders = await checkFolders(cwd);
  const machine = await checkMachine();
  const devices = await checkDevices(report);
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
