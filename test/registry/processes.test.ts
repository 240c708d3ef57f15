import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history } from '../../src/registry/history.js';
import { verifyAll } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { openStore } from '../../src/store/store.js';
import type { VersionEvent } from '../../src/store/version-events.js';
import { makeProject, registration, writeDataset, writeModel } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

/** A process that registers the project's model once and prints what came of it. */
const REGISTER_ONCE = `
  const { register } = await import(${JSON.stringify(new URL('../../dist/registry/register.js', import.meta.url).href)});
  const [options] = process.argv.slice(1).map((text) => JSON.parse(text));
  try {
    const { version, created } = await register(options);
    console.log(JSON.stringify({ version: version.version, created }));
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }`;

async function registerAtOnce(
  existing: 'refuse' | 'reuse',
): Promise<{ code?: string; version?: number; created?: boolean }[]> {
  const options = JSON.stringify(registration(cwd, existing));
  const words = ['--input-type=module', '-e', REGISTER_ONCE, options];
  const results = await Promise.all(Array.from({ length: 4 }, () => execa(process.execPath, words)));
  return results.map(({ stdout }) => JSON.parse(stdout));
}

describe('processes that register the same model at once', () => {
  it('make one version; the others are told of the duplicate', async () => {
    writeModel(cwd);
    const answers = await registerAtOnce('refuse');
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === 'VERSION_DUPLICATE')).toHaveLength(3);
    expect(list(cwd)).toHaveLength(1);
    await verifyAll(cwd);
  });

  it('are all given the one version with --reuse', async () => {
    writeModel(cwd);
    const answers = await registerAtOnce('reuse');
    expect(answers.map(({ version }) => version)).toEqual([1, 1, 1, 1]);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });
});

/** What a process said that it had done. */
type Told = { registered: number } | { promoted: number } | { restored: number; rolledBack: number };

const PROGRAM = fileURLToPath(new URL('./worker-program.js', import.meta.url));
const PROCESSES = 16;
/** 30 in a measurement; enough here for every process to do each thing several times. */
const SECONDS = process.env.HNDSR_CONCURRENCY_SECONDS ?? '4';
/** Of the processes, so many are killed after so many changes each. */
const KILLED = 5;

/** Runs one process to its end, or kills it once it has told of `enough` changes. */
async function work(
  name: string,
  fingerprint: string,
  enough: number,
): Promise<{ told: Told[]; stderr: string }> {
  // One that is to be killed goes on until it is, however slow the machine.
  const seconds = enough === Number.POSITIVE_INFINITY ? SECONDS : '600';
  const child = execa(process.execPath, [PROGRAM, cwd, name, seconds, fingerprint], { reject: false });
  const told: Told[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // A line cut short by the kill told of nothing.
    if (!line.endsWith('}')) continue;
    told.push(JSON.parse(line) as Told);
    if (told.length === enough) child.kill('SIGKILL');
  }
  const { stderr, exitCode, signal } = await child;
  expect([exitCode, signal]).toEqual(
    enough === Number.POSITIVE_INFINITY ? [0, undefined] : [undefined, 'SIGKILL'],
  );
  return { told, stderr };
}

/** Whether the history has what a process said. */
function isRecorded(told: Told, events: readonly VersionEvent[]): boolean {
  const has = (version: number, kind: string, toStage?: string): boolean =>
    events.some(
      (event) =>
        event.version === version &&
        event.kind === kind &&
        (toStage === undefined || event.toStage === toStage),
    );
  if ('registered' in told) return has(told.registered, 'registered');
  if ('promoted' in told) return has(told.promoted, 'promoted', 'production');
  return has(told.restored, 'restored') && has(told.rolledBack, 'rolled-back');
}

describe('sixteen processes that register, promote, roll back and read at once, some of them killed', () => {
  it(
    'lose no update, leave an intact chain and one version in production, and never meet a lock',
    async () => {
      const { fingerprint } = writeDataset(cwd);
      const results = await Promise.all(
        Array.from({ length: PROCESSES }, (_, index) =>
          work(`worker-${index}`, fingerprint, index < KILLED ? index + 1 : Number.POSITIVE_INFINITY),
        ),
      );
      expect(results.map(({ stderr }) => stderr).join('')).toBe('');
      const told = results.flatMap((one) => one.told);
      const events = history(cwd);
      expect(told.filter((one) => !isRecorded(one, events))).toEqual([]);
      expect(told.filter((one) => 'promoted' in one).length).toBeGreaterThan(PROCESSES - KILLED - 1);
      const store = openStore(cwd);
      expect(store.database.pragma('integrity_check', { simple: true })).toBe('ok');
      store.close();
      // The chain, the stage of every version, and the bytes of every file.
      const state = await verifyAll(cwd);
      expect(state.events).toBe(events.length);
      const versions = list(cwd);
      expect(versions.filter(({ inProduction }) => inProduction)).toHaveLength(1);
      expect(versions.filter(({ stage }) => stage === 'production')).toHaveLength(1);
      expect(show(cwd, 'production').stage).toBe('production');
      if (process.env.HNDSR_CONCURRENCY_SECONDS !== undefined) {
        console.log(
          `${SECONDS} s: ${versions.length} versions, ${events.length} events, ${told.length} changes told`,
        );
      }
    },
    120_000 + 1000 * Number(SECONDS),
  );
});
