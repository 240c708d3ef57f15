import { userInfo } from 'node:os';
import { execa } from 'execa';
import { HndsrError } from './errors.js';

/** What git prints, trimmed; undefined where it fails, is not installed, or the folder is in no checkout. */
async function git(cwd: string, ...words: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await execa('git', words, { cwd });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

/** The commit that a folder's work is on, and whether tracked files differ from it; nulls outside a git checkout. */
export async function gitState(cwd: string): Promise<{ gitCommit: string | null; gitDirty: boolean | null }> {
  const gitCommit = await git(cwd, 'rev-parse', 'HEAD');
  const changes = await git(cwd, 'status', '--porcelain', '--untracked-files=no');
  if (gitCommit === undefined || changes === undefined) return { gitCommit: null, gitDirty: null };
  return { gitCommit, gitDirty: changes !== '' };
}

/** Whether a commit is in the repository of a folder. */
export async function commitExists(cwd: string, commit: string): Promise<boolean> {
  return (await git(cwd, 'cat-file', '-e', `${commit}^{commit}`)) !== undefined;
}

/** Who acts: git's identity, or the user of the operating system. */
export async function currentActor(cwd: string): Promise<string> {
  const name = await git(cwd, 'config', '--get', 'user.name');
  const email = await git(cwd, 'config', '--get', 'user.email');
  if (name === undefined || name === '') return systemUser();
  return email === undefined || email === '' ? name : `${name} <${email}>`;
}

/** A container may run under a number that no user has. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`;
  }
}

/**
 * The commit that a branch, tag, hash or `HEAD~1` means in the checkout that a folder is in.
 * @throws HndsrError REVISION_UNKNOWN
 */
export async function commitOf(cwd: string, revision: string): Promise<string> {
  // What begins with a dash would be an option; git has no such names.
  const commit = revision.startsWith('-')
    ? undefined
    : await git(cwd, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
  if (commit !== undefined) return commit;
  const inCheckout = (await git(cwd, 'rev-parse', '--git-dir')) !== undefined;
  throw new HndsrError(
    'REVISION_UNKNOWN',
    inCheckout
      ? `git knows no revision \`${revision}\``
      : `there is no git checkout here to look for \`${revision}\` in`,
    {
      hint: inCheckout
        ? 'Name a commit, a branch or a tag; `git log --oneline` lists commits.'
        : `Earlier values come from git: run \`git init\` and commit, or work in a checkout (looked in ${cwd}).`,
    },
  );
}

/**
 * A file as it is in a commit.
 * @param path relative to `cwd`, with `/`
 * @returns undefined where the commit has no such file
 */
export async function fileAtCommit(cwd: string, commit: string, path: string): Promise<Buffer | undefined> {
  try {
    const { stdout } = await execa('git', ['cat-file', 'blob', `${commit}:./${path}`], {
      cwd,
      encoding: 'buffer',
    });
    return Buffer.from(stdout);
  } catch {
    return undefined;
  }
}

/** The files below a folder in a commit, relative to `cwd`; the file itself where it is one. */
export async function filesAtCommit(cwd: string, commit: string, path: string): Promise<string[]> {
  try {
    const words = ['ls-tree', '-r', '-z', '--name-only', commit, '--', path];
    const { stdout } = await execa('git', words, { cwd });
    return stdout.split('\0').filter(Boolean);
  } catch {
    return [];
  }
}
