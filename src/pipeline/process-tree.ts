import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Carries a mark to every process that a stage's command starts. */
export const MARK_VARIABLE = 'HNDSR_REPRO';

const POLL_MILLISECONDS = 25;
const KILL_MILLISECONDS = 2000;

/** What the mark variable is to be for a command: those of the processes around this one, and its own. */
export function markWith(mark: string): string {
  return [process.env[MARK_VARIABLE], mark].filter(Boolean).join(',');
}

/**
 * Ends a command and all it started: SIGINT to its process group, and SIGKILL to what is left after the grace time.
 * @param group id of the process group
 */
export async function endTree(group: number, mark: string, graceMilliseconds: number): Promise<void> {
  signalGroup(group, 'SIGINT');
  if (await goneWithin(group, mark, graceMilliseconds)) return;
  signalGroup(group, 'SIGKILL');
  for (const pid of marked(mark)) signal(pid, 'SIGKILL');
  await goneWithin(group, mark, KILL_MILLISECONDS);
}

/** Ends what is left of a stage whose own `repro` was killed. Linux only: elsewhere such processes are not found. */
export async function endMarked(mark: string): Promise<void> {
  const deadline = performance.now() + KILL_MILLISECONDS;
  for (let left = marked(mark); left.length > 0 && performance.now() < deadline; left = marked(mark)) {
    for (const pid of left) signal(pid, 'SIGKILL');
    await sleep(POLL_MILLISECONDS);
  }
}

export function signalGroup(group: number, name: NodeJS.Signals): void {
  signal(-group, name);
}

function signal(target: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, name);
    return true;
  } catch {
    return false;
  }
}

async function goneWithin(group: number, mark: string, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    // Where /proc tells, a dead process that nobody has waited for does not count, as it does for a signal.
    const running = process.platform === 'linux' ? marked(mark).length > 0 : signal(-group, 0);
    if (!running) return true;
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MILLISECONDS);
  }
}

/** Processes with this mark, also those that left the command's group. */
function marked(mark: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const variables = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      const marks = variables.find((variable) => variable.startsWith(`${MARK_VARIABLE}=`));
      return marks?.includes(mark) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}
