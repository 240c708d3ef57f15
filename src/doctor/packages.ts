import { askProcess } from '../compute/own-process.js';
import { packageVersion } from '../version.js';

/** A package that the work needs: loaded, used once, and asked for its version. */
export interface PackageHealth {
  name: string;
  version: string | null;
  working: boolean;
  /** Why it does not work, and what to do; empty where it does. */
  reason: string;
}

/** What a package's own process answers. */
export type PackageAnswer = { version: string } | { reason: string };

/** The packages whose loading depends on the machine, and what mends each. */
const REMEDIES: Record<string, string> = {
  'onnxruntime-node': 'Install hndsr again on this platform.',
  '@tensorflow/tfjs': 'Install hndsr again.',
  'better-sqlite3':
    'Run `npm rebuild better-sqlite3`; it needs a C++ compiler where no built one can be had.',
  sharp: 'Install hndsr again on this platform, optional dependencies included.',
};

const TIMEOUT_MS = 60_000;

/** Each package by itself: what is broken must not hide the rest. */
export async function checkPackages(
  ask: (name: string) => Promise<PackageAnswer> = askProgram,
): Promise<PackageHealth[]> {
  const itself = { name: 'hndsr', version: packageVersion(), working: true, reason: '' };
  const others = Object.entries(REMEDIES).map(async ([name, remedy]): Promise<PackageHealth> => {
    const found = await ask(name);
    return 'version' in found
      ? { name, version: found.version, working: true, reason: '' }
      : { name, version: null, working: false, reason: `${found.reason.replace(/\.$/, '')}. ${remedy}` };
  });
  return [itself, ...(await Promise.all(others))];
}

/** In a process of its own: a library built for another processor ends the process that loads it. */
function askProgram(name: string): Promise<PackageAnswer> {
  return askProcess(new URL('./package-program.js', import.meta.url), [name], TIMEOUT_MS);
}
