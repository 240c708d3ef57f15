import { execa } from 'execa';

/** The commit that a folder's work is on, and whether there are changes beside it; nulls outside a git checkout. */
export async function gitState(cwd: string): Promise<{ gitCommit: string | null; gitDirty: boolean | null }> {
  try {
    const { stdout: gitCommit } = await execa('git', ['rev-parse', 'HEAD'], { cwd });
    const { stdout: changes } = await execa('git', ['status', '--porcelain', '--untracked-files=no'], {
      cwd,
    });
    return { gitCommit, gitDirty: changes !== '' };
  } catch {
    return { gitCommit: null, gitDirty: null };
  }
}
