import { readdirSync, statSync } from 'node:fs';
import { identityOf, stampOf } from './read-hash.js';

export interface FoundFile {
  /** Relative to the folder that was walked, with `/`. */
  path: string;
  /** As `stampOf` words its state. */
  stamp: string;
  /** Bytes. */
  size: number;
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
      const state = statSync(absolute, { bigint: true, throwIfNoEntry: false });
      if (state === undefined) continue;
      const path = prefix + name;
      if (!state.isDirectory()) found.push(describe(path, state));
      else if (!above.includes(identityOf(state))) walk(absolute, `${path}/`, [...above, identityOf(state)]);
    }
  };
  walk(root, '', [identity]);
  return found;
}

export function describe(path: string, state: Parameters<typeof stampOf>[0]): FoundFile {
  return {
    path,
    stamp: stampOf(state),
    size: Number(state.size),
    regular: state.isFile(),
    executable: (state.mode & 0o100n) !== 0n,
  };
}
