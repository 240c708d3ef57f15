import { link, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { inShort } from '../compute/own-process.js';

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
    found.reason = inShort(error);
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  return found;
}
