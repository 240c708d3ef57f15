import { HndsrError } from '../errors.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import { type Lineage, lineageOf, type Use, usesOf } from '../store/lineage.js';
import { withStore } from './versions.js';

/** @throws HndsrError VERSION_MISSING */
export function lineage(cwd: string, name: VersionName): Lineage {
  return withStore(cwd, (store) => lineageOf(store, findVersion(store, name).version)!);
}

/**
 * The versions that a dataset or a commit went into, the newest first.
 * @throws HndsrError USAGE
 */
export function uses(cwd: string, kind: 'dataset' | 'commit', prefix: string): Use[] {
  if (!/^[0-9a-f]{4,64}$/.test(prefix)) {
    throw new HndsrError(
      'USAGE',
      `--${kind} ${prefix}: must be at least 4 hexadecimal digits, in lower case`,
      {
        hint: `\`hndsr registry lineage VERSION\` shows the ${kind} of a version.`,
      },
    );
  }
  return withStore(cwd, (store) => usesOf(store, kind, prefix));
}

/** A picture holds so many source files; the JSON has all. */
const SOURCES_SHOWN = 12;

const short = (hash: string): string => hash.slice(0, 12);

function commitText(commit: string | null, dirty: boolean | null): string {
  if (commit === null) return 'no git commit';
  return `commit ${short(commit)}${dirty ? ', with changes' : ''}`;
}

/** What one line of a lineage says: itself, and what it came from. */
export function lineageText(found: Lineage): string {
  const { version, stage, codeVersion, commit, dirty, checkpoints, runs, dataset } = found;
  const lines = [`version ${version} (${stage}), hndsr ${codeVersion}, ${commitText(commit, dirty)}`];
  for (const { role, sha256, run } of checkpoints) {
    lines.push(`  ${role}  ${short(sha256)}  ${run === null ? 'of an unknown run' : `run ${run}`}`);
  }
  for (const run of runs) {
    lines.push(
      `  run ${run.id} (${run.stage}, ${run.status}): hndsr ${run.codeVersion}, ${commitText(run.commit, run.dirty)}, ` +
        `seed ${run.seed}, ${run.engine} on ${run.device}, dataset ${short(run.dataset)}` +
        (run.resumedFrom === null ? '' : `, went on with run ${run.resumedFrom}`),
    );
  }
  const { sources, fingerprint } = dataset;
  lines.push(
    `  dataset ${short(fingerprint)}, made of ${sources.length === 0 ? 'files that are not known' : `${sources.length} files`}`,
  );
  lines.push(...sources.slice(0, SOURCES_SHOWN).map(({ path, sha256 }) => `    ${short(sha256)}  ${path}`));
  if (sources.length > SOURCES_SHOWN)
    lines.push(`    and ${sources.length - SOURCES_SHOWN} more (--json has all)`);
  if (found.imported !== null) {
    const { version: there, exportedAt } = found.imported;
    lines.push(
      `  imported: it was version ${there} of another registry, exported ${exportedAt}; --json has its runs there`,
    );
  }
  return lines.join('\n');
}

/** A flow chart in Mermaid's language, from the version down to the source files. */
export function lineageMermaid(found: Lineage): string {
  const { version, stage, commit, dirty, checkpoints, runs, dataset } = found;
  const lines = ['flowchart TD', `  version["version ${version}<br/>${stage}"]`];
  const commits = new Map<string, string>();
  const node = (id: string, label: string): string => `${id}["${label.replaceAll('"', '#quot;')}"]`;
  const toCommit = (from: string, at: string | null, isDirty: boolean | null): void => {
    const label = commitText(at, isDirty);
    if (!commits.has(label)) commits.set(label, `commit${commits.size}`);
    lines.push(`  ${from} --> ${node(commits.get(label)!, label)}`);
  };
  toCommit('version', commit, dirty);
  for (const { role, sha256, run } of checkpoints) {
    lines.push(`  version --> ${node(role, `${role}<br/>${short(sha256)}`)}`);
    if (run !== null) lines.push(`  ${role} --> run${run}`);
  }
  for (const run of runs) {
    lines.push(
      `  ${node(`run${run.id}`, `run ${run.id}<br/>${run.stage}, seed ${run.seed}`)} --> ${node(`data-${short(run.dataset)}`, `dataset ${short(run.dataset)}`)}`,
    );
    toCommit(`run${run.id}`, run.commit, run.dirty);
    if (run.resumedFrom !== null) lines.push(`  run${run.id} --> run${run.resumedFrom}`);
  }
  const { fingerprint, sources } = dataset;
  const data = node(`data-${short(fingerprint)}`, `dataset ${short(fingerprint)}`);
  for (const [index, { path, sha256 }] of sources.slice(0, SOURCES_SHOWN).entries()) {
    lines.push(`  ${data} --> ${node(`source${index}`, `${path}<br/>${short(sha256)}`)}`);
  }
  if (sources.length > SOURCES_SHOWN) {
    lines.push(`  ${data} --> ${node('more', `and ${sources.length - SOURCES_SHOWN} more files`)}`);
  }
  return lines.join('\n');
}
