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
  killTree(group, mark);
  await goneWithin(group, mark, KILL_MILLISECONDS);
}

/** Sends SIGKILL to all of it, at once. */
export function killTree(group: number, mark: string): void {
  // One that left the group is still known by its mark.
  const marked = findProcesses(mark);
  signalGroup(group, 'SIGKILL');
  for (const pid of marked) signal(pid, 'SIGKILL');
}

/**
 * Ends what is left of a stage whose own `repro` was killed: the processes with its mark, and the groups they are in.
 * Linux only: elsewhere such processes are not found.
 */
export async function endMarked(mark: string): Promise<void> {
  const marked = findProcesses(mark);
  const groups = new Set(marked.map((pid) => statusOf(pid).group).filter((group) => group > 1));
  for (const group of groups) signalGroup(group, 'SIGKILL');
  for (const pid of marked) signal(pid, 'SIGKILL');
  await Promise.all([...groups].map((group) => goneWithin(group, mark, KILL_MILLISECONDS)));
}

function signalGroup(group: number, name: NodeJS.Signals): void {
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
    const running = process.platform === 'linux' ? findProcesses(mark, group).length > 0 : signal(-group, 0);
    if (!running) return true;
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MILLISECONDS);
  }
}

/** Living processes with this mark, also those that left the command's group, and those of the group without it. */
function findProcesses(mark: string, group?: number): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && (isMarked(pid, mark) || isLivingMember(pid, group)));
}

function isMarked(pid: number, mark: string): boolean {
  const variables = readProcess(pid, 'environ').split('\0');
  return variables.some((text) => text.startsWith(`${MARK_VARIABLE}=`) && text.includes(mark));
}

function isLivingMember(pid: number, of: number | undefined): boolean {
  if (of === undefined) return false;
  const { state, group } = statusOf(pid);
  return group === of && state !== 'Z' && state !== 'X';
}

function statusOf(pid: number): { state: string; group: number } {
  const text = readProcess(pid, 'stat');
  // The second field is the name in parentheses, which may hold spaces and parentheses itself.
  const [state = '', , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, group: Number(group ?? 0) };
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // Gone in the meantime, or another user's.
    return '';
  }
}
