import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, told apart from one that gets the same number after it. */
export interface ProcessIdentity {
  host: string;
  id: number;
  /** When it began, in words to be compared only; null where the system does not tell. */
  started: string | null;
}

let own: ProcessIdentity | undefined;

export function thisProcess(): ProcessIdentity {
  own ??= { host: hostname(), id: process.pid, started: lookUp(process.pid) ?? null };
  return own;
}

/** Of a process on another machine nothing is known, so it counts as alive. */
export function isAlive({ host, id, started }: ProcessIdentity): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(id, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = started === null ? undefined : lookUp(id);
  return now === undefined || now === started;
}

/**
 * What tells a process from another of its number: on Linux the boot and the clock ticks from there to its start
 * (proc(5), /proc/PID/stat field 22), elsewhere what `ps` prints. `dead` of one that ended and was not yet waited for.
 */
function lookUp(id: number): string | 'dead' | undefined {
  try {
    if (process.platform !== 'linux') return startFromPs(id);
    const stat = readFileSync(`/proc/${id}/stat`, 'latin1');
    // The second field is the program's name in brackets, which may itself have spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'dead';
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

function startFromPs(id: number): string | undefined {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(id)], { env, encoding: 'utf8' }).trim();
  return started === '' ? undefined : started;
}
