import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Installs what the lock file names, and compiles, unless that is done and up to date. */
export function setUp() {
  const installed = modified(join(ROOT, 'node_modules', '.package-lock.json'));
  if (installed < modified(join(ROOT, 'package-lock.json'))) {
    // Compiles too: npm runs the package's `prepare` after installing.
    npm('ci');
  } else if (modified(join(ROOT, 'dist', 'bundle', 'commands', 'main.js')) < newest(join(ROOT, 'src'))) {
    npm('run', 'build');
  }
}

function npm(...words) {
  // npm is a batch file on Windows, which only a shell runs; the words are all our own.
  execFileSync('npm', words, { cwd: ROOT, stdio: 'inherit', shell: process.platform === 'win32' });
}

function modified(path) {
  return existsSync(path) ? statSync(path).mtimeMs : Number.NEGATIVE_INFINITY;
}

function newest(folder) {
  return Math.max(...readdirSync(folder, { recursive: true }).map((name) => modified(join(folder, name))));
}
