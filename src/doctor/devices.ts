import { fileURLToPath } from 'node:url';
import { answerOf, type Probe, probeDevices } from '../compute/probe.js';
import type { GoldenResult } from './golden.js';
import type { Speed } from './speed.js';

export interface DeviceHealth extends Probe {
  /** Null where the device is not usable. */
  golden: GoldenResult | null;
  speed: Speed | null;
}

/** What a device's own process answers. */
export type DeviceAnswer = { golden: GoldenResult; speed: Speed | null };

const PROGRAM = fileURLToPath(new URL('./device-program.js', import.meta.url));
const TIMEOUT_MS = 180_000;

/** Every engine and device of this machine: whether it runs, whether it computes what it should, and how fast. */
export async function checkDevices(
  report: (device: string) => void,
  probe: () => Promise<Probe[]> = probeDevices,
  ask: (probe: Probe) => Promise<DeviceAnswer> = askProgram,
): Promise<DeviceHealth[]> {
  report('which devices there are');
  const checked: DeviceHealth[] = [];
  // One after the other: they would slow one another down.
  for (const one of await probe()) {
    if (one.usable) report(`${one.engine} on ${one.device}`);
    checked.push(one.usable ? { ...one, ...(await ask(one)) } : { ...one, golden: null, speed: null });
  }
  return checked;
}

async function askProgram({ engine, device }: Probe): Promise<DeviceAnswer> {
  const answer = await answerOf<DeviceAnswer>(PROGRAM, [engine, device], TIMEOUT_MS);
  if (!('reason' in answer)) return answer;
  return { golden: { passed: false, largestDifference: null, verdict: answer.reason }, speed: null };
}
