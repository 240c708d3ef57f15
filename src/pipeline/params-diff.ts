import { PARAMS_FILE } from '../config/project.js';
import { leavesOf, parseData } from './data-file.js';
import { canonical } from './fingerprint.js';
import { withPipeline } from './open-pipeline.js';
import type { Pipeline } from './stage.js';
import { openVersion, type Version } from './version.js';

/** A param that is not the same in two versions; undefined where it is not there. */
export interface ParamChange {
  file: string;
  /** Dotted. */
  key: string;
  from: unknown;
  to: unknown;
}

export interface DiffOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** A commit, branch or tag. */
  from: string;
  /** The same; undefined: the files as they are now. */
  to?: string | undefined;
}

/**
 * The params that differ between two versions, of params.yaml and of every params file that the pipeline names.
 * @throws HndsrError what `loadPipeline`, `openVersion` and `parseData` throw
 */
export async function diffParams({ cwd, file, from, to }: DiffOptions): Promise<ParamChange[]> {
  return withPipeline(cwd, file, async (pipeline) => {
    const [before, after] = [await openVersion(pipeline, from), await openVersion(pipeline, to)];
    const changes: ParamChange[] = [];
    for (const path of paramsFilesOf(pipeline)) {
      const [old, now] = [await leaves(before, path), await leaves(after, path)];
      for (const key of new Set([...old.keys(), ...now.keys()])) {
        const same = old.has(key) && now.has(key) && canonical(old.get(key)) === canonical(now.get(key));
        if (!same) changes.push({ file: path, key, from: old.get(key), to: now.get(key) });
      }
    }
    return changes;
  });
}

/** Relative to the project folder, params.yaml first. */
export function paramsFilesOf({ order, shown }: Pipeline): string[] {
  const named = order.flatMap(({ params }) => params.map(({ file }) => file.path));
  return [...new Set([PARAMS_FILE, ...[...named, ...shown.params].sort()])];
}

async function leaves(version: Version, path: string): Promise<Map<string, unknown>> {
  const bytes = await version.read(path);
  return bytes === undefined ? new Map() : leavesOf(parseData(bytes, path), { lists: true });
}
