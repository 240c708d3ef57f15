import { HndsrError } from '../../errors.js';
import { type JobContext, silent } from '../../events.js';
import { FileHasher } from '../file-hash.js';
import type { HashCache } from '../hash-cache.js';
import { Lock, type LockedContent } from '../lock.js';
import { withPipeline } from '../open-pipeline.js';
import { OutputStore } from '../output-store.js';
import { PreviousOutputs } from '../previous-outputs.js';
import { ReproLock } from '../repro-lock.js';
import { fingerprintOf, isRepeatable, type RunSource, readRunRecord, recordedRuns } from '../run-cache.js';
import { type Output, type Pipeline, type Stage, selectStages } from '../stage.js';
import { openRemote, type Remote, type RemoteChoice } from './remote.js';
import { Transfer, type TransferCounts } from './transfer.js';

export interface SyncOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. */
  file?: string | undefined;
  /** Only these stages and those they depend on. */
  targets?: readonly string[];
  /** In place of `cache.remote` and `cache.endpoint` of the pipeline's file. */
  remote?: string | undefined;
  endpoint?: string | undefined;
  /** Also all earlier runs, not only those that the lock names. */
  runCache?: boolean;
  signal?: AbortSignal;
}

export interface PullOptions extends SyncOptions {
  /** Overwrite also an output of which there is no copy. */
  force?: boolean;
}

export interface PullResult extends TransferCounts {
  /** Outputs that were put in place. */
  restored: string[];
}

/** An output with its content as the lock has it. */
interface LockedOutput {
  stage: Stage;
  output: Output;
  content: LockedContent;
}

interface Sync {
  pipeline: Pipeline;
  lock: Lock;
  hasher: FileHasher;
  outputs: OutputStore;
  remote: Remote;
  transfer: Transfer;
  /** What the lock names of the selected stages, as far as copies of it are kept. */
  locked: LockedOutput[];
}

/**
 * Sends to the remote what hndsr.lock names, and the runs that made it. An output that the cache lacks is taken from its
 * place, if it is there as the lock says.
 * @throws HndsrError what `loadPipeline` and `Lock.read` throw; REMOTE_NOT_SET, REMOTE_MISSING, REMOTE_DENIED,
 * REMOTE_UNREACHABLE, HASH_MISMATCH; CACHE_INCOMPLETE when an output is nowhere, after all others were sent
 */
export async function push(options: SyncOptions, context: JobContext = silent): Promise<TransferCounts> {
  return withRemote(options, context, 'push', async (sync) => {
    const { locked, hasher, outputs, transfer, pipeline, lock } = sync;
    for (const { output, content } of locked) {
      if (await outputs.has(content)) continue;
      const now = await hasher.hash(output.absolute);
      if (now?.sha256 === content.sha256) await outputs.keep(output, content);
    }
    const earlier = options.runCache ? recordedRuns(pipeline.cwd) : [];
    const keptHere = new Set(
      pipeline.order.flatMap(({ outs }) => outs.filter((out) => !out.push).map(({ path }) => path)),
    );
    const contents = earlier
      .flatMap((fingerprint) => readRunRecord(pipeline.cwd, fingerprint)?.run.outs ?? [])
      .filter(({ path }) => !keptHere.has(path));
    // An earlier run of which the cache has lost a part is not sent, and nothing to complain of.
    const whole: LockedContent[] = [];
    for (const content of contents) if (await outputs.has(content)) whole.push(content);
    const missing = await transfer.send([...locked.map(({ content }) => content), ...whole]);
    const runs = [...new Set(locked.map(({ stage }) => lock.get(stage.name)!.fingerprint))];
    await transfer.sendRecords([...new Set([...runs, ...earlier])]);
    if (missing.length > 0) {
      throw incomplete(
        missing,
        'are neither in the cache nor in their places',
        'Run `hndsr repro`, and push again.',
      );
    }
    return transfer.counts;
  });
}

/**
 * Gets into the cache what hndsr.lock names; nothing outside `.hndsr` changes.
 * @throws HndsrError as `push` does; CACHE_INCOMPLETE when the remote lacks an output, after all others came
 */
export async function fetch(options: SyncOptions, context: JobContext = silent): Promise<TransferCounts> {
  return withRemote(options, context, 'fetch', async (sync) => {
    await receive(sync, options);
    return sync.transfer.counts;
  });
}

/**
 * `fetch`, and puts each output in its place that is not as the lock says.
 * @throws HndsrError as `fetch` does; PIPELINE_LOCKED; OUTPUT_EXISTS without `force` for an output that would be lost
 */
export async function pull(options: PullOptions, context: JobContext = silent): Promise<PullResult> {
  return withRemote(options, context, 'pull', async (sync) => {
    const { hasher, outputs, pipeline, locked, transfer } = sync;
    const reproLock = await ReproLock.acquire(pipeline.cwd, { command: 'pull', signal: options.signal });
    try {
      // Else the next `repro` would put the outputs of before a crash in place of those that are pulled.
      await PreviousOutputs.recover(pipeline.cwd);
      await receive(sync, options);
      const restored: string[] = [];
      const stale = await Promise.all(
        locked.map(async (entry) => ({ ...entry, now: await hasher.hash(entry.output.absolute) })),
      );
      const changed = stale.filter(({ content, now }) => now?.sha256 !== content.sha256);
      for (const { output, now } of changed) {
        if (now === undefined || options.force || (await outputs.has({ path: output.path, ...now })))
          continue;
        throw new HndsrError('OUTPUT_EXISTS', `${output.path} was changed, and no copy of it is kept`, {
          hint: 'Move it away, or add --force to have it overwritten.',
        });
      }
      for (const { output, content } of changed) {
        if (await outputs.restore(output, content)) restored.push(output.path);
        else throw incomplete([content], 'are damaged in the cache', 'Run the same command again.');
      }
      return { ...transfer.counts, restored };
    } finally {
      reproLock.release();
    }
  });
}

/** Earlier runs on other machines, for `RunCache`: fetched when they are asked for. */
export async function openRunSource(
  pipeline: Pipeline,
  hasher: FileHasher,
  choice: { remote?: string | undefined; endpoint?: string | undefined },
  context: JobContext,
): Promise<RunSource & { close(): void }> {
  const remote = await openRemote(pipeline.cwd, remoteOf(pipeline, choice));
  const outputs = new OutputStore(pipeline.cwd, hasher);
  const transfer = new Transfer(pipeline.cwd, remote, hasher, outputs, context, 'fetch');
  return { fetchRun: (fingerprint) => transfer.fetchRun(fingerprint), close: () => remote.close() };
}

async function receive({ transfer, locked, lock, remote }: Sync, { runCache }: SyncOptions): Promise<void> {
  const missing = await transfer.receive(locked.map(({ content }) => content));
  const fingerprints = new Set(locked.map(({ stage }) => lock.get(stage.name)!.fingerprint));
  if (runCache) for (const key of await remote.list('run-cache')) fingerprints.add(fingerprintOf(key));
  for (const fingerprint of fingerprints) await transfer.fetchRun(fingerprint);
  if (missing.length > 0) {
    const hint = 'Push them from a machine that has them, or run `hndsr repro` to make them here.';
    throw incomplete(missing, `are not on the remote ${remote.name}`, hint);
  }
}

async function withRemote<Result>(
  options: SyncOptions,
  context: JobContext,
  task: string,
  work: (sync: Sync) => Promise<Result>,
): Promise<Result> {
  return withPipeline(options.cwd, options.file, async (pipeline: Pipeline, cache: HashCache) => {
    const stages = selectStages(pipeline, options.targets);
    const lock = Lock.read(pipeline.lockPath, cache);
    const remote = await openRemote(pipeline.cwd, remoteOf(pipeline, options));
    try {
      const hasher = new FileHasher(pipeline.cwd, cache, options.signal);
      const outputs = new OutputStore(pipeline.cwd, hasher);
      const transfer = new Transfer(pipeline.cwd, remote, hasher, outputs, context, task);
      const locked = stages.flatMap((stage) => lockedOutputs(stage, lock));
      return await work({ pipeline, lock, hasher, outputs, remote, transfer, locked });
    } finally {
      remote.close();
    }
  });
}

function remoteOf(
  { cache }: Pipeline,
  choice: { remote?: string | undefined; endpoint?: string | undefined },
): RemoteChoice {
  return { address: choice.remote ?? cache.remote, endpoint: choice.endpoint ?? cache.endpoint };
}

function lockedOutputs(stage: Stage, lock: Lock): LockedOutput[] {
  const entry = lock.get(stage.name);
  const repeatable = isRepeatable(stage);
  return (entry?.outs ?? []).flatMap((content) => {
    const output = stage.outs.find(({ path }) => path === content.path);
    return output?.push && (output.cache || repeatable) ? [{ stage, output, content }] : [];
  });
}

function incomplete(contents: readonly LockedContent[], what: string, hint: string): HndsrError {
  const paths = contents.map(({ path }) => path).join(', ');
  return new HndsrError('CACHE_INCOMPLETE', `these outputs ${what}: ${paths}`, { hint });
}
