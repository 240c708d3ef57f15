import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The version of this package, as package.json states it. */
export function packageVersion(): string {
  return manifest().version;
}

/** The versions of Node that this package is made for, as package.json states them. */
export function requiredNode(): string {
  return manifest().engines.node;
}

function manifest(): { version: string; engines: { node: string } } {
  const file = new URL('../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof manifest>;
}

/** Installed versions of what a training's result depends on, by package name; what is not installed is left out. */
export function packageVersions(): Record<string, string> {
  const versions: Record<string, string> = { hndsr: packageVersion(), node: process.versions.node };
  const load = createRequire(import.meta.url);
  for (const name of ['onnxruntime-node', '@tensorflow/tfjs']) {
    try {
      versions[name] = (load(`${name}/package.json`) as { version: string }).version;
    } catch {
      // A package left out by its user: the run says that it was not there.
    }
  }
  return versions;
}
