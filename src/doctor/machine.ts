import { link, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { HndsrError } from '../errors.js';
import { packageVersion } from '../version.js';

/** A package that the work needs: loaded and asked for its version. */
export interface PackageHealth {
  name: string;
  version: string | null;
  working: boolean;
  /** Why it does not work; empty where it does. */
  reason: string;
}

export interface NodeHealth {
  version: string;
  required: string;
  supported: boolean;
}

export interface MachineHealth {
  platform: string;
  processor: string;
  threads: number;
  /** Bytes; the limit is that of a container, null without one. */
  memory: { total: number; free: number; limit: number | null };
}

export interface FolderHealth {
  path: string;
  /** Bytes; null where it cannot be read. */
  free: number | null;
  writable: boolean;
  /** Whether a file can have a second name, which spares copies of datasets and models. */
  hardLinks: boolean;
  reason: string;
}

/** As `engines` of package.json has it. */
const REQUIRED_NODE = '>=20.19';

export function checkNode(version = process.versions.node): NodeHealth {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  return { version, required: REQUIRED_NODE, supported: major > 20 || (major === 20 && minor >= 19) };
}

type Loaders = Record<string, () => Promise<string>>;

const PACKAGES: Loaders = {
  'onnxruntime-node': async () => {
    const { env } = await import('onnxruntime-node');
    return env.versions.node ?? env.versions.common;
  },
  '@tensorflow/tfjs': async () => (await import('@tensorflow/tfjs')).version.tfjs,
  'better-sqlite3': async () => {
    const { default: Database } = await import('better-sqlite3');
    const database = new Database(':memory:');
    const { version } = database.prepare('SELECT sqlite_version() AS version').get() as { version: string };
    database.close();
    return `SQLite ${version}`;
  },
  sharp: async () => {
    const { default: sharp } = await import('sharp');
    return `${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
  },
};

/** Each package by itself: what is broken must not hide the rest. */
export async function checkPackages(loaders: Loaders = PACKAGES): Promise<PackageHealth[]> {
  const found: PackageHealth[] = [{ name: 'hndsr', version: packageVersion(), working: true, reason: '' }];
  for (const [name, version] of Object.entries(loaders)) {
    found.push(
      await version().then(
        (version) => ({ name, version, working: true, reason: '' }),
        (error: unknown) => ({ name, version: null, working: false, reason: firstLine(error) }),
      ),
    );
  }
  return found;
}

export async function checkMachine(): Promise<MachineHealth> {
  return {
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    memory: { total: totalmem(), free: freemem(), limit: await memoryLimit() },
  };
}

/** What a container may use (cgroup version 2, then 1), if that is less than the machine has. */
async function memoryLimit(): Promise<number | null> {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    const limit = Number(await readFile(path, 'utf8').catch(() => 'max'));
    if (Number.isFinite(limit) && limit < totalmem()) return limit;
  }
  return null;
}

export async function checkFolders(cwd: string): Promise<FolderHealth[]> {
  return [await checkFolder(resolve(cwd)), await checkFolder(tmpdir())];
}

export async function checkFolder(path: string): Promise<FolderHealth> {
  const found: FolderHealth = { path, free: null, writable: false, hardLinks: false, reason: '' };
  let folder: string | undefined;
  try {
    const { bavail, bsize } = await statfs(path);
    found.free = bavail * bsize;
    folder = await mkdtemp(join(path, '.hndsr-doctor-'));
    await writeFile(join(folder, 'a'), 'a');
    found.writable = true;
    await link(join(folder, 'a'), join(folder, 'b'));
    found.hardLinks = true;
  } catch (error) {
    found.reason = firstLine(error);
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  return found;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error || error instanceof HndsrError ? error.message : String(error);
  return message.split('\n')[0]!;
}
