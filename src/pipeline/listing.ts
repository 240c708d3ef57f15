import { createHash } from 'node:crypto';

/** A file of a folder: its path in it, with `/`, and the hash of its bytes. */
export interface ListedFile {
  path: string;
  sha256: string;
}

/**
 * The files of a folder as a text, whose hash is the folder's hash and which is kept beside their bytes: JSON with one
 * file a line.
 * @param files sorted by path
 */
export function formatListing(files: readonly ListedFile[]): string {
  const lines = files.map(({ path, sha256 }) => JSON.stringify([path, sha256]));
  return `[\n${lines.join(',\n')}\n]\n`;
}

/** @returns undefined for what is no listing, and for one that names a file outside its folder */
export function parseListing(text: string): ListedFile[] | undefined {
  try {
    const lines = JSON.parse(text) as unknown;
    return Array.isArray(lines) && lines.every(isLine)
      ? lines.map(([path, sha256]) => ({ path, sha256 }))
      : undefined;
  } catch {
    return undefined;
  }
}

export function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isLine(line: unknown): line is [string, string] {
  if (!Array.isArray(line) || line.length !== 2) return false;
  const [path, sha256] = line as unknown[];
  return typeof path === 'string' && isInside(path) && typeof sha256 === 'string' && isHash(sha256);
}

export function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Whether a path leads to a file below the folder that it is relative to, on any system. */
function isInside(path: string): boolean {
  if (process.platform === 'win32' && /[\\:]/.test(path)) return false;
  return (
    !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}
