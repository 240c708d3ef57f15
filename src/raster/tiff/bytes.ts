import { type FileHandle, open } from 'node:fs/promises';
import type { SceneSource } from '../scene.js';

/** The bytes of a TIFF file, read in parts that are never longer than the file. */
export interface TiffBytes {
  readonly size: number;
  /** @throws Error where the part reaches beyond the end */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export async function openBytes(source: SceneSource): Promise<TiffBytes> {
  if ('bytes' in source) {
    const { bytes } = source;
    return {
      size: bytes.length,
      read: async (offset, length) => {
        checkInside(offset, length, bytes.length);
        return bytes.subarray(offset, offset + length);
      },
      close: async () => {},
    };
  }
  const file = await open(source.path, 'r');
  try {
    const { size } = await file.stat();
    return {
      size,
      read: (offset, length) => readFrom(file, offset, length, size),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function checkInside(offset: number, length: number, size: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new Error(`offset is outside: ${length} bytes at ${offset} of a file of ${size} bytes`);
}

async function readFrom(file: FileHandle, offset: number, length: number, size: number): Promise<Uint8Array> {
  checkInside(offset, length, size);
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
  checkInside(offset, length, offset + bytesRead);
  return buffer;
}

/** The source that geotiff reads tags from: it asks for some bytes more than there may be. */
export function geotiffSource(bytes: TiffBytes): { fetch: unknown; close: () => Promise<void> } {
  const one = async ({ offset, length }: { offset: number; length: number }): Promise<ArrayBuffer> => {
    const part = await bytes.read(offset, Math.max(0, Math.min(length, bytes.size - offset)));
    return part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength) as ArrayBuffer;
  };
  return {
    fetch: (slices: { offset: number; length: number }[]) => Promise.all(slices.map(one)),
    close: () => bytes.close(),
  };
}
