import { askProcess } from '../compute/own-process.js';
import { type Probe, probeDevices } from '../compute/probe.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { failed, type GoldenResult } from './golden-result.js';
import type { Speed } from './speed.js';

export interface DeviceHealth extends Probe {
  /** Null where the device is not usable. */
  golden: GoldenResult | null;
  /** Null where the device is not usable, computes wrongly, or cannot do as much work at once. */
  speed: Speed | null;
}

/** What a device's own process answers. */
export type DeviceAnswer = Pick<DeviceHealth, 'speed'> & { golden: GoldenResult };

const TIMEOUT_MS = 180_000;

/**
 * Every engine and device of this machine: whether it runs, whether it computes what it should, and how fast.
 * @throws HndsrError INTERRUPTED
 */
export async function checkDevices(
  context: JobContext,
  probe: () => Promise<Probe[]> = probeDevices,
  ask: (probe: Probe) => Promise<DeviceAnswer> = askProgram,
): Promise<DeviceHealth[]> {
  const report = (what: string): void =>
    context.emit({ kind: 'message', level: 'info', text: `checking ${what}` });
  report('which devices there are');
  const checked: DeviceHealth[] = [];
  // One after the other: they would slow one another down.
  for (const one of await probe()) {
    if (one.usable) report(`${one.engine} on ${one.device}`);
    checked.push(one.usable ? { ...one, ...(await ask(one)) } : { ...one, golden: null, speed: null });
    // Ctrl-C ends the device's process too, which says nothing about the device.
    if (context.interrupted()) throw interruptedError('hndsr doctor');
  }
  return checked;
}

/** In a process of its own, so that a driver that crashes is a finding, not the end. */
async function askProgram({ engine, device }: Probe): Promise<DeviceAnswer> {
  const program = new URL('./device-program.js', import.meta.url);
  const found = await askProcess<DeviceAnswer>(program, [engine, device], TIMEOUT_MS);
  return 'reason' in found ? { golden: failed(found.reason), speed: null } : found;
}
