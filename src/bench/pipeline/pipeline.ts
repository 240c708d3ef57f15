import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { JobContext } from '../../events.js';
import { alternate, hndsr, runOnce, type TimedCommand } from './processes.js';
import { makeFolderProject, makeLargeGraph, makeOwnProject, writeFiles } from './projects.js';

export interface PipelineBenchOptions {
  /** Timed runs of each command. */
  runs: number;
  /** Dependency files of 10 kB. */
  files: number;
  /** Megabytes that are hashed for the first time, in files of 1 MB. */
  megabytes: number;
  /** Stages of the generated pipeline. */
  stages: number;
}

/** Medians of whole processes, in milliseconds. */
export interface PipelineBenchResult {
  /** An empty program of Node: no command can take less. */
  nodeMs: number;
  helpMs: number;
  /** `status` with nothing to do, over `files` files, and wireit on the same; null where it is not installed. */
  statusMs: number;
  wireitMs: number | null;
  /** `repro` with nothing to do, on this package's own pipeline. */
  reproMs: number;
  /** `status` with nothing remembered, over `megabytes`; and sha256sum, by xargs on two processes. */
  firstHashMs: number;
  sha256sumMs: number;
  /** `status` of the generated pipeline, with nothing remembered and then again. */
  firstGraphMs: number;
  graphMs: number;
}

/**
 * Times the pipeline's commands on generated projects, each as a whole process, beside what others take for the same.
 * They lie in a temporary folder that is removed.
 */
export async function benchPipeline(
  options: PipelineBenchOptions,
  context: JobContext,
): Promise<PipelineBenchResult> {
  const { runs, files, megabytes, stages } = options;
  const root = await mkdtemp(join(tmpdir(), 'hndsr-bench-'));
  const folder = async (name: string): Promise<string> => {
    context.emit({ kind: 'message', level: 'info', text: `timing ${name}` });
    await mkdir(join(root, name));
    return join(root, name);
  };
  try {
    const status = await folder('status');
    makeFolderProject(status, files, 10_000);
    runOnce(hndsr(status, 'repro'));
    const wireit = wireitCommand(status);
    if (wireit !== undefined) runOnce(wireit);
    const small = alternate(runs, {
      node: { words: [process.execPath, '-e', '0'], cwd: root },
      help: hndsr(root, '--help'),
      status: hndsr(status, 'status'),
      wireit: wireit ?? { words: [process.execPath, '-e', '0'], cwd: root },
    });

    const own = await folder('repro');
    makeOwnProject(own);
    runOnce(hndsr(own, 'repro'));
    const repro = alternate(runs, { repro: hndsr(own, 'repro') });

    const hashing = await folder('hashing');
    makeFolderProject(hashing, 1, 10);
    writeFiles(join(hashing, 'data'), megabytes, 1_000_000);
    runOnce(hndsr(hashing, 'repro'));
    const hash = alternate(Math.min(runs, 5), {
      first: { ...hndsr(hashing, 'status'), before: () => forget(hashing) },
      sha256sum: {
        words: ['sh', '-c', 'find data -type f -print0 | xargs -0 -P2 -n16 sha256sum'],
        cwd: hashing,
      },
    });

    const graph = await folder('graph');
    await makeLargeGraph(graph, stages);
    const large = alternate(Math.min(runs, 5), {
      first: { ...hndsr(graph, 'status'), before: () => forget(graph) },
      again: hndsr(graph, 'status'),
    });
    return {
      nodeMs: small.node,
      helpMs: small.help,
      statusMs: small.status,
      wireitMs: wireit === undefined ? null : small.wireit,
      reproMs: repro.repro,
      firstHashMs: hash.first,
      sha256sumMs: hash.sha256sum,
      firstGraphMs: large.first,
      graphMs: large.again,
    };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Takes away what is remembered of files and texts. */
function forget(cwd: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(join(cwd, '.hndsr', `pipeline.db${end}`), { force: true });
}

/** wireit as npm would start it, without the time that npm takes. */
function wireitCommand(cwd: string): TimedCommand | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve('wireit/package.json');
    return {
      words: [process.execPath, join(dirname(manifest), 'bin', 'wireit.js')],
      cwd,
      env: {
        npm_lifecycle_event: 'count',
        npm_package_json: join(cwd, 'package.json'),
        npm_config_user_agent: 'npm/10.0.0',
        // In CI it would keep its cache elsewhere.
        CI: '',
        WIREIT_LOGGER: 'simple',
      },
    };
  } catch {
    return undefined;
  }
}
