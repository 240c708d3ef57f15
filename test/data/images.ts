import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';

const PARAMS = new URL('../../params.yaml', import.meta.url);

/** A new folder with the project's own params.yaml. */
export async function newProject(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-etl-'));
  await writeFile(join(folder, 'params.yaml'), await readFile(PARAMS));
  return folder;
}

/** Smooth noise that differs with the name. */
export function picture(name: string, width = 64, height = 64): Sharp {
  const seed = createHash('sha256').update(name).digest();
  const data = Buffer.alloc(width * height * 3);
  for (let index = 0; index < data.length; index++) {
    data[index] = (seed[index % 31]! * (1 + (index >> 5)) + seed[(index >> 7) % 32]!) % 256;
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function put(folder: string, name: string, bytes: Uint8Array | string): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

export async function putPictures(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await put(folder, name, await picture(name).png().toBuffer());
}

/** tiles.csv with the given places, `[path, latitude, longitude]`. */
export function sidecarText(places: readonly (readonly [string, number, number])[]): string {
  const lines = places.map(([path, latitude, longitude]) => `${path},scene,${latitude},${longitude}`);
  return `${['path,source,latitude,longitude', ...lines].join('\n')}\n`;
}

/** Every file of a folder with the SHA-256 of its bytes, by relative path. */
export async function contents(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return files;
}
