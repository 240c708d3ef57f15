import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Compiles once before all tests: those that drive the command line or a thread run what users run. */
export default function setup(): void {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const words of [
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    ['scripts/bundle.js'],
  ])
    execFileSync(process.execPath, words, { cwd: root, stdio: 'inherit' });
}
