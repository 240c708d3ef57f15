import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Probe, probeDevices } from '../compute/probe.js';
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

/** In a process of its own, so that a driver that crashes is a finding, not the end. */
function askProgram({ engine, device }: Probe): Promise<DeviceAnswer> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [PROGRAM, engine, device], options, (error, stdout, stderr) => {
      const line = stdout.split('\n').find((one) => one.startsWith('{'));
      if (line !== undefined) return resolve(JSON.parse(line) as DeviceAnswer);
      const how = error?.killed
        ? 'gave no answer in time'
        : `ended with ${error?.signal ?? `code ${error?.code}`}`;
      const last = stderr.trim().split('\n').at(-1)?.trim() ?? '';
      const verdict = `the process that ran it ${how}: ${last}`;
      resolve({ golden: { passed: false, largestDifference: null, verdict }, speed: null });
    });
  });
}
