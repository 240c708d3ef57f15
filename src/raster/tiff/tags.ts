import type { GeoTIFFImage } from 'geotiff';

/** The value of a tag, or the first of its values. */
export function numberOf(image: GeoTIFFImage, name: string): number | undefined {
  const value = tagOf(image, name);
  if (typeof value === 'number') return value;
  const first = (value as ArrayLike<unknown> | undefined)?.[0];
  return typeof first === 'number' ? first : undefined;
}

/** A tag that is read with its directory. */
export function tagOf(image: GeoTIFFImage, name: string): unknown {
  const directory = image.fileDirectory as unknown as { getValue(name: string): unknown };
  try {
    return directory.getValue(name);
  } catch {
    return undefined;
  }
}

/** Any tag, by name or number; undefined where there is none. */
export async function loadTag(image: GeoTIFFImage, tag: string | number): Promise<unknown> {
  return image.fileDirectory.loadValue(tag as never);
}

/** A tag of text, without the zeros at its end. */
export function text(value: unknown): string | undefined {
  const found = typeof value === 'string' ? value.replace(/\0+$/, '').trim() : '';
  return found === '' ? undefined : found;
}
