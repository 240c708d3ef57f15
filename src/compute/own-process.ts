import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Why a process gave no answer, in words for a person. */
export interface NoAnswer {
  reason: string;
}

/**
 * Runs a program of this package in a process of its own, so that what crashes or hangs in it takes nothing down.
 * @param program URL of the compiled module, which calls `answer`
 * @param timeoutMs after which it is killed
 */
export function askProcess<Answer extends object>(
  program: URL,
  words: readonly string[],
  timeoutMs: number,
): Promise<Answer | NoAnswer> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [fileURLToPath(program), ...words], options, (error, stdout, stderr) => {
      const found = answerIn(stdout);
      if (found !== undefined) resolve(found as Answer);
      else if (error?.killed === true) resolve({ reason: `no answer within ${timeoutMs / 1000} s` });
      else {
        const how = error?.signal ?? `code ${error?.code ?? 0}`;
        const why = inShort(complaintIn(stderr));
        const reason = `its process ended with ${how}${why === '' ? '' : `: ${why}`}`;
        // Ctrl-C ends all processes of a terminal: this one may hear of it later, and must not blame a device before.
        setTimeout(() => resolve({ reason }), error?.signal === 'SIGINT' ? OWN_SIGNAL_MS : 0);
      }
    });
  });
}

/** The program's side: tells the one who asked, and ends the process, whatever threads a driver has left running. */
export function answer(value: object): void {
  // A pipe may be written later than asked for, and then a process that exits takes the text with it.
  process.stdout.write(`${JSON.stringify(value)}\n`, () => process.exit(0));
}

/** An error's message on one line of bearable length. */
export function inShort(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}…`;
}

const LONGEST = 240;
/** In which this process has surely been told of a signal that another one has already ended by. */
const OWN_SIGNAL_MS = 200;

/** Drivers write to stdout too; the answer is the last line that is an object. */
function answerIn(stdout: string): object | undefined {
  const line = stdout.split('\n').findLast((one) => one.startsWith('{') && one.endsWith('}'));
  try {
    return line === undefined ? undefined : (JSON.parse(line) as object);
  } catch {
    return undefined;
  }
}

/** The error that Node names in what a process left on stderr, else the last thing said there. */
export function complaintIn(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const error = lines.find((line) => /^(Uncaught )?\w*Error\b.*:/.test(line));
  const said = lines.filter((line) => line !== '' && !/^(at |Node\.js v\d)/.test(line));
  return error ?? said.at(-1) ?? '';
}
