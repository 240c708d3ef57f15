import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PipelineConfig } from '../config/pipeline.js';
import { parsedLater, readsOf } from '../config/yaml.js';
import { packageVersion } from '../version.js';
import type { HashCache } from './hash-cache.js';
import { hashText } from './listing.js';

type Known = Pick<PipelineConfig, 'stages' | 'reads' | 'shown' | 'cache'> & {
  /** Hash of each other file that it was made of; null where there was none. */
  sources: [path: string, sha256: string | null][];
};

/**
 * What `loadPipelineConfig` gives. When `memory` has it for a file of this text, neither the YAML nor its schema is
 * looked at: to load what reads them takes longer than the rest of `hndsr status`.
 * @throws HndsrError as `loadPipelineConfig` does
 */
export async function readPipelineConfig(
  cwd: string,
  path: string,
  memory: HashCache | undefined,
): Promise<PipelineConfig> {
  const absolute = resolve(cwd, path);
  const text = readIfThere(absolute);
  const key = `pipeline:${absolute}`;
  const stamp = hashText(`${programStamp()}\n${path}\n${text}`);
  const known = text === undefined ? undefined : (memory?.recallValue(key, stamp) as Known | undefined);
  if (known?.sources.every(([source, sha256]) => hashOf(source) === sha256)) {
    const { stages, reads, shown, cache } = known;
    return { folder: dirname(absolute), file: parsedLater(text!, path), stages, reads, shown, cache };
  }
  const { loadPipelineConfig } = await import('../config/pipeline.js');
  const { result, paths } = readsOf(() => loadPipelineConfig(cwd, path));
  const sources = paths
    .filter((source) => source !== absolute)
    .map((source): Known['sources'][number] => [source, hashOf(source)]);
  if (result.file.text === text) {
    const { stages, reads, shown, cache } = result;
    memory?.rememberValue(key, stamp, { stages, reads, shown, cache, sources } satisfies Known);
  }
  return result;
}

function hashOf(path: string): string | null {
  const text = readIfThere(path);
  return text === undefined ? null : hashText(text);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Another program may understand the same text in another way. */
function programStamp(): string {
  return `${packageVersion()} ${statSync(fileURLToPath(import.meta.url)).mtimeMs}`;
}
