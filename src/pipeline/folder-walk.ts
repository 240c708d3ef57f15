import { createHash } from 'node:crypto';
import { readdirSync, type Stats, statSync } from 'node:fs';
import { type FileState, identityOf } from './read-hash.js';

export interface FoundFile extends FileState {
  /** Relative to the folder that was walked, with `/`. */
  path: string;
  /** Neither device, nor pipe, nor socket. */
  regular: boolean;
  /** Whether its owner may run it. */
  executable: boolean;
}

/**
 * All files below a folder, in no order; links are followed, but not into a folder that they are in. Of ten thousand
 * files, what is kept is short: a state of the system's with all it holds takes longer to clear away than to get.
 * @param identity of the folder, as `identityOf` words it
 */
export function walkFolder(root: string, identity: string): FoundFile[] {
  const found: FoundFile[] = [];
  const walk = (folder: string, prefix: string, above: readonly string[]): void => {
    for (const name of readdirSync(folder)) {
      const absolute = `${folder}/${name}`;
      const state = statSync(absolute, { throwIfNoEntry: false });
      if (state === undefined) continue;
      const path = prefix + name;
      if (!state.isDirectory()) found.push(describe(path, state));
      else if (!above.includes(identityOf(state))) walk(absolute, `${path}/`, [...above, identityOf(state)]);
    }
  };
  walk(root, '', [identity]);
  return found;
}

export function describe(path: string, state: Stats): FoundFile {
  const { ino, size, mtimeMs, mode } = state;
  return { path, ino, size, mtimeMs, regular: state.isFile(), executable: (mode & 0o100) !== 0 };
}

/** A hash over the paths and states of files: another one as soon as one of them is another. */
export function hashStates(files: readonly FoundFile[]): string {
  const states = new Float64Array(3 * files.length);
  let paths = '';
  let next = 0;
  for (const { path, ino, size, mtimeMs } of files) {
    paths += `${path}\0`;
    states[next++] = ino;
    states[next++] = size;
    states[next++] = mtimeMs;
  }
  return createHash('sha256').update(paths).update(states).digest('hex');
}
