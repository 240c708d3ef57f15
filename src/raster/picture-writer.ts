import { deflateSync } from 'node:zlib';
import type { Sharp } from 'sharp';
import { writeAtomic } from '../atomic.js';
import type { Size } from './degrade.js';
import { loadSharp } from './load-sharp.js';
import { PNG_SIGNATURE, pngChunk, pngHeader, profileChunk } from './png.js';
import { provenanceXmp } from './provenance.js';
import type { Layout, OutputFormat, SceneWriter } from './scene-writer.js';
import type { OutputRows } from './unit-scene.js';

/** JPEG, WebP and AVIF files: of 8 bits, held as a whole, since their encoders take no less. */
export async function createPictureWriter(
  path: string,
  format: OutputFormat,
  layout: Layout,
): Promise<SceneWriter> {
  const channels = (layout.bands + (layout.alpha ? 1 : 0)) as 1 | 2 | 3 | 4;
  const pixels = new Uint8Array(layout.width * layout.height * channels);
  let position = 0;
  return {
    async write({ samples }: OutputRows): Promise<void> {
      pixels.set(samples as Uint8Array, position);
      position += samples.length;
    },
    async finish(): Promise<number> {
      if (position !== pixels.length)
        throw new RangeError(`${position} samples were written of ${pixels.length}`);
      const bytes = await encode(pixels, channels, format, layout);
      await writeAtomic(path, bytes);
      return bytes.length;
    },
    async abort(): Promise<void> {},
  };
}

async function encode(
  pixels: Uint8Array,
  channels: 1 | 2 | 3 | 4,
  format: OutputFormat,
  { width, height, bands, carried, provenance, quality }: Layout,
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const { icc } = carried;
  // A profile is kept with the samples as they are only if it comes with them: else they are converted to it.
  let image: Sharp =
    icc === undefined
      ? sharp(pixels, { raw: { width, height, channels }, limitInputPixels: false })
      : sharp(pngOf(pixels, { width, height, bands, channels, icc }), {
          limitInputPixels: false,
        }).keepIccProfile();
  if (bands === 1) image = image.toColourspace('b-w');
  if (provenance !== undefined) image = image.withXmp(provenanceXmp(provenance));
  if (format === 'jpeg') image = image.jpeg({ quality, chromaSubsampling: '4:4:4' });
  else if (format === 'webp') image = image.webp({ quality, exact: true });
  else image = image.avif({ quality, chromaSubsampling: '4:4:4' });
  return image.toBuffer();
}

interface Profiled extends Size {
  bands: number;
  channels: number;
  icc: Uint8Array;
}

/** The same pixels and their profile, in a form that sharp reads. */
function pngOf(pixels: Uint8Array, { width, height, bands, channels, icc }: Profiled): Buffer {
  const rowBytes = width * channels;
  const rows = new Uint8Array(height * (rowBytes + 1));
  for (let y = 0; y < height; y++)
    rows.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), y * (rowBytes + 1) + 1);
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk('IHDR', pngHeader({ width, height, depth: 8, isRgb: bands === 3, alpha: channels > bands })),
    profileChunk(icc),
    pngChunk('IDAT', deflateSync(rows, { level: 1 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}
