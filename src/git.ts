import { userInfo } from 'node:os';
import { execa } from 'execa';

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
