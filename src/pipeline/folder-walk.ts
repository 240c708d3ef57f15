import { type BigIntStats, readdirSync, statSync } from 'node:fs';

export interface FoundFile {
  /** Relative to the folder that was walked, with `/`. */
  path: string;
  absolute: string;
  state: BigIntStats;
}

/** All files below a folder, sorted by path; links are followed, but not into a folder that they are in. */
export function walkFolder(root: string, rootState: BigIntStats): FoundFile[] {
  const found: FoundFile[] = [];
  const walk = (folder: string, prefix: string, above: readonly string[]): void => {
    for (const name of readdirSync(folder)) {
      const absolute = `${folder}/${name}`;
      const path = prefix + name;
      const state = statSync(absolute, { bigint: true, throwIfNoEntry: false });
      if (state === undefined) continue;
      if (!state.isDirectory()) found.push({ path, absolute, state });
      else if (!above.includes(identity(state))) walk(absolute, `${path}/`, [...above, identity(state)]);
    }
  };
  walk(root, '', [identity(rootState)]);
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
}

function identity(state: BigIntStats): string {
  return `${state.dev}-${state.ino}`;
}
