import { resolve } from 'node:path';
import type { Provenance } from '../raster/provenance.js';
import { readProvenance } from '../raster/provenance-reader.js';
import { openFile } from '../raster/unit-scene.js';
import { openStoreToRead, type Store } from '../store/store.js';
import { artifactsOf, getVersion } from '../store/versions.js';

/** What an image file says of itself. */
export interface Inspection {
  file: string;
  format: string;
  width: number;
  height: number;
  bands: number;
  dtype: string;
  opacity: 'alpha' | 'mask' | 'none';
  noData: number | null;
  crs: string | null;
  /** Metres of a pixel. */
  gsd: number | null;
  /** West, south, east, north in the file's own coordinates. */
  extent: readonly number[] | null;
  /** Null for an image that says nothing of how it was made. */
  provenance: Provenance | null;
  /** What is wrong with what it says, by the registry of the project; null where nothing is. */
  problem: string | null;
}

/** Headers are read, and no pixels. */
const LIMITS = { maxPixels: 2 ** 40, maxScenePixels: 2 ** 53 };

/**
 * Reads how an image was made, and looks the model up in the registry.
 * @param file relative to `cwd`, whose registry is asked
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, STORE_INVALID
 */
export async function inspect(cwd: string, file: string): Promise<Inspection> {
  const path = resolve(cwd, file);
  const scene = await openFile(path, LIMITS);
  try {
    const { format, width, height, bands, dtype, opacity, noData, crs, gsd } = scene.header;
    const provenance = (await readProvenance(path, scene)) ?? null;
    return {
      ...{ file: path, format, width, height, bands, dtype, opacity },
      ...{ noData: noData ?? null, crs: crs ?? null, gsd: gsd ?? null },
      extent: scene.locate({ x: 0, y: 0, width, height })?.extent ?? null,
      provenance,
      problem: provenance === null ? null : problemOf(cwd, provenance),
    };
  } finally {
    await scene.close();
  }
}

function problemOf(cwd: string, { model }: Provenance): string | null {
  const store = openStoreToRead(cwd);
  try {
    return modelProblem(store, model);
  } finally {
    store.close();
  }
}

function modelProblem(store: Store, { version, files }: Provenance['model']): string | null {
  if (getVersion(store, version) === undefined)
    return `the registry of this project has no version ${version}`;
  const registered = new Map(artifactsOf(store, version).map(({ role, sha256 }) => [role, sha256]));
  const roles = new Set([...registered.keys(), ...Object.keys(files)]);
  const other = [...roles].filter((role) => registered.get(role) !== files[role]).sort();
  if (other.length === 0) return null;
  return `version ${version} of this project's registry is another model: ${other.join(', ')} differ in their hashes`;
}
