import util from 'node:util';

export interface NativeTensorflow {
  /** The npm package. */
  name: string;
  version: string;
  gpu: boolean;
}

/** Why each package that could have been loaded was not. */
export interface TensorflowMissing {
  reason: string;
}

/** With a GPU first. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

type Load = (name: string) => Promise<unknown>;

/**
 * Loads the first native TensorFlow.js that is installed and whose library is there; it registers its backend,
 * `tensorflow`, itself.
 */
export async function loadTensorflow(
  load: Load = (name) => import(name),
): Promise<NativeTensorflow | TensorflowMissing> {
  restoreRemovedUtilities(util);
  const reasons: string[] = [];
  for (const name of PACKAGES) {
    try {
      const loaded = (await load(name)) as {
        backend?: () => { isUsingGpuDevice?: boolean };
        version?: Record<string, string>;
      };
      const version = loaded.version?.['tfjs-node'] ?? loaded.version?.tfjs ?? 'unknown';
      return { name, version, gpu: loaded.backend?.().isUsingGpuDevice === true };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const notInstalled = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
      reasons.push(`${name}: ${notInstalled ? 'not installed' : message.split('\n')[0]}`);
    }
  }
  return { reason: reasons.join('; ') };
}

/**
 * tfjs-node 4.22 calls functions of node:util that Node 23 took away (nodejs/node, DEP0044 and those after it). They
 * are put back, as they were, where they are missing.
 */
export function restoreRemovedUtilities(target: object): void {
  const removed: Record<string, (value: unknown) => boolean> = {
    isArray: Array.isArray,
    isNullOrUndefined: (value) => value === null || value === undefined,
    isNumber: (value) => typeof value === 'number',
    isString: (value) => typeof value === 'string',
  };
  for (const [name, value] of Object.entries(removed)) {
    if (!(name in target)) Object.defineProperty(target, name, { value, configurable: true });
  }
}
