import { userInfo } from 'node:os';
import { execa } from 'execa';

/** Who acts: git's identity, or the user of the operating system. */
export async function currentActor(cwd: string): Promise<string> {
  const setting = async (key: string): Promise<string> => {
    const { stdout } = await execa('git', ['config', '--get', key], { cwd, reject: false });
    return typeof stdout === 'string' ? stdout.trim() : '';
  };
  try {
    const [name, email] = [await setting('user.name'), await setting('user.email')];
    if (name !== '') return email === '' ? name : `${name} <${email}>`;
  } catch {
    // No git on this machine.
  }
  return userInfo().username;
}

/** The commit that the project is on; null outside a git checkout. */
export async function currentCommit(cwd: string): Promise<string | null> {
  try {
    const { stdout, exitCode } = await execa('git', ['rev-parse', 'HEAD'], { cwd, reject: false });
    return exitCode === 0 && typeof stdout === 'string' ? stdout.trim() : null;
  } catch {
    return null;
  }
}
