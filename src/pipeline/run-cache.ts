import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { runCacheFolder } from '../config/project.js';
import { isMap } from '../config/vars.js';
import { HndsrError } from '../errors.js';
import type { Emit } from '../events.js';
import type { FileHasher } from './file-hash.js';
import { canonical, fingerprint, inputsOfEntry } from './fingerprint.js';
import { hashText } from './listing.js';
import { findFault, type LockEntry, type LockedContent } from './lock-entry.js';
import { OutputStore } from './output-store.js';
import type { Output, Stage } from './stage.js';

/** A run's record, as its file has it. */
export interface RunRecord {
  version: 1;
  /** Name that the stage had; for people. */
  stage: string;
  run: LockEntry;
  /** SHA-256 of `run`. */
  check: string;
}

/** Gets what an earlier run on another machine left. */
export interface RunSource {
  /** @returns whether the record of a run with this fingerprint, and all objects it names, are in the cache now */
  fetchRun(fingerprint: string): Promise<boolean>;
}

/**
 * Earlier runs of stages, by fingerprint: what a run made is put in its place again instead of running the stage. A
 * run's record is a JSON file in `.hndsr/run-cache`; the bytes are in `.hndsr/objects`.
 */
export class RunCache {
  private readonly outputs: OutputStore;

  /** @param source asked for a run that is not in the cache */
  constructor(
    private readonly cwd: string,
    hasher: FileHasher,
    private readonly emit: Emit,
    private readonly source?: RunSource,
  ) {
    this.outputs = new OutputStore(cwd, hasher);
  }

  /**
   * Whether `restore` would find an earlier run, as far as can be told without reading its objects or the network.
   * @param fingerprint of the stage's inputs as they are now
   */
  async find(stage: Stage, fingerprint: string): Promise<LockedContent[] | undefined> {
    const outs = this.recorded(stage, fingerprint);
    if (outs === undefined) return undefined;
    for (const { content } of outs) if (!(await this.outputs.has(content))) return undefined;
    return outs.map(({ content }) => content);
  }

  /**
   * Puts the outputs of an earlier run with this fingerprint in their places, where nothing must be: call it where
   * the stage's commands would be run, with the previous outputs moved aside.
   * @returns the outputs as the lock keeps them; undefined when there is no such run, or an object of it is not there
   * or damaged: what it has put in place is then for the caller to remove, as after a command that failed, and the
   * stage has to run
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE, INTERRUPTED; what `RunSource.fetchRun` throws
   */
  async restore(stage: Stage, fingerprint: string): Promise<LockedContent[] | undefined> {
    if (!isRepeatable(stage)) return undefined;
    if (this.source !== undefined && (await this.find(stage, fingerprint)) === undefined) {
      await this.source.fetchRun(fingerprint);
    }
    const outs = this.recorded(stage, fingerprint);
    if (outs === undefined) return undefined;
    for (const { output, content } of outs) {
      if (!(await this.outputs.restore(output, content))) return undefined;
    }
    const now = new Date();
    await utimes(runRecordPath(this.cwd, fingerprint), now, now).catch(() => {});
    return outs.map(({ content }) => content);
  }

  /**
   * Keeps what a stage has just made, before its entry is written to the lock: the outputs with `cache: true`, and
   * where `isRepeatable` says so, the whole run. Without room on the disk it warns, and keeps less.
   * @param entry what the stage ran with, and its outputs just hashed
   * @returns the outputs as the lock keeps them
   */
  async keep(stage: Stage, entry: LockEntry): Promise<LockedContent[]> {
    const repeatable = isRepeatable(stage);
    try {
      const kept = await Promise.all(
        entry.outs.map(async (content) => {
          const output = outputAt(stage, content.path);
          if (output === undefined || !(output.cache || repeatable)) return content;
          return this.outputs.keep(output, content);
        }),
      );
      if (kept.every((content) => content !== undefined)) {
        if (repeatable) await this.record(stage, { ...entry, outs: kept });
        return kept;
      }
      this.warn(`stage ${stage.name}: its outputs changed after it ended; they are not kept for later runs`);
    } catch (error) {
      if (!(error instanceof HndsrError) || error.code === 'INTERRUPTED') throw error;
      this.warn(`stage ${stage.name}: its outputs are not kept for later runs: ${error.message}`);
    }
    return entry.outs;
  }

  private async record(stage: Stage, run: LockEntry): Promise<void> {
    const check = hashText(canonical(run));
    const record: RunRecord = { version: 1, stage: stage.name, run, check };
    await writeAtomic(
      runRecordPath(this.cwd, run.fingerprint),
      `${JSON.stringify(record, encodeNumber, 2)}\n`,
    );
  }

  /** The outputs of a stage with what an earlier run made of each. */
  private recorded(
    stage: Stage,
    fingerprint: string,
  ): { output: Output; content: LockedContent }[] | undefined {
    if (!isRepeatable(stage)) return undefined;
    const outs = readRunRecord(this.cwd, fingerprint)?.run.outs;
    if (outs === undefined) return undefined;
    const found = stage.outs.flatMap((output) => {
      const content = outs.find((out) => out.path === output.path);
      return content === undefined ? [] : [{ output, content }];
    });
    return found.length === stage.outs.length ? found : undefined;
  }

  private warn(text: string): void {
    this.emit({ kind: 'message', level: 'warning', text });
  }
}

/** The record of an earlier run; undefined when there is none, or it was changed. */
export function readRunRecord(cwd: string, fingerprint: string): RunRecord | undefined {
  const path = runRecordPath(cwd, fingerprint);
  return existsSync(path) ? parseRunRecord(readFileSync(path, 'utf8'), fingerprint) : undefined;
}

/** @returns undefined for a text that is no record of the run with this fingerprint, or was changed */
export function parseRunRecord(text: string, expected: string): RunRecord | undefined {
  try {
    const record = JSON.parse(text, decodeNumber) as RunRecord;
    const { version, run, check } = record;
    if (version !== 1 || typeof record.stage !== 'string' || findFault(run) !== undefined) return undefined;
    const whole = hashText(canonical(run)) === check && run.fingerprint === expected;
    return whole && fingerprint(inputsOfEntry(run)) === expected ? record : undefined;
  } catch {
    return undefined;
  }
}

const NUMBERS_JSON_LACKS: readonly unknown[] = ['NaN', 'Infinity', '-Infinity'];

/** A param may be .nan or .inf, which JSON would make null. */
function encodeNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
}

/** A param that looked like this before makes a record that its `check` refuses. */
function decodeNumber(_: string, value: unknown): unknown {
  if (!isMap(value) || !NUMBERS_JSON_LACKS.includes(value.number)) return value;
  return Object.keys(value).length === 1 ? Number(value.number) : value;
}

/** The fingerprints of the runs that the cache has records of. */
export function recordedRuns(cwd: string): string[] {
  const folder = runCacheFolder(cwd);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(isRecord).map(fingerprintOf);
}

/** Whether a path ends as that of a record does. */
function isRecord(path: string): boolean {
  return /(^|[/\\])[0-9a-f]{2}[/\\][0-9a-f]{62}\.json$/.test(path);
}

/** @param path of a record, on this machine or a remote */
export function fingerprintOf(path: string): string {
  return path.slice(-70, -68) + path.slice(-67, -5);
}

export function runRecordPath(cwd: string, fingerprint: string): string {
  return join(runCacheFolder(cwd), fingerprint.slice(0, 2), `${fingerprint.slice(2)}.json`);
}

/**
 * Whether what a stage makes follows from its inputs alone and may be kept: not when it always runs or goes on from its
 * previous outputs (`persist`), has no inputs, or has an entry of `outs` that is not to be copied (`cache: false`).
 * Metrics and plots with `cache: false`, which git keeps, are copied for this: they are small.
 */
export function isRepeatable(stage: Stage): boolean {
  const { outs, deps, params, env } = stage;
  return (
    !stage.alwaysChanged &&
    outs.length > 0 &&
    deps.length + params.length + env.length > 0 &&
    outs.every(({ persist, cache, kind }) => !persist && (cache || kind !== 'outs'))
  );
}

function outputAt(stage: Stage, path: string): Output | undefined {
  return stage.outs.find((output) => output.path === path);
}
