import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';

/**
 * What this process may use, in bytes, if a control group (a container, a service, a batch job) allows it less than
 * the machine has: the least of its own group and of those around it.
 * @param root where /proc and /sys are
 */
export async function memoryLimit(root = '/', total = totalmem()): Promise<number | null> {
  const groups = await readFile(join(root, 'proc/self/cgroup'), 'utf8').catch(() => '');
  const texts = await Promise.all(
    groups
      .split('\n')
      .flatMap(limitFiles)
      .map((path) => readFile(join(root, path), 'utf8').catch(() => 'max')),
  );
  const limit = Math.min(total, ...texts.map(Number).filter((bytes) => bytes > 0));
  return limit < total ? limit : null;
}

/**
 * Where the limits of a line of /proc/self/cgroup stand, those of the groups around it included: `0::/a/b` in version
 * 2, `4:memory:/a/b` in version 1 (the kernel's admin-guide, cgroup-v2 and cgroup-v1/memory).
 */
function limitFiles(line: string): string[] {
  const [number, controllers, ...path] = line.split(':');
  const names = path
    .join(':')
    .split('/')
    .filter((name) => name !== '' && name !== '..');
  const around = [...names, ''].map((_, depth) => names.slice(0, depth).join('/'));
  if (number === '0' && controllers === '')
    return around.map((group) => join('sys/fs/cgroup', group, 'memory.max'));
  if (controllers?.split(',').includes('memory') !== true) return [];
  return around.map((group) => join('sys/fs/cgroup/memory', group, 'memory.limit_in_bytes'));
}
