import { open } from 'node:fs/promises';
import { loadSharp } from './load-sharp.js';
import { PNG_SIGNATURE } from './png.js';
import {
  PROVENANCE_KEY,
  type Provenance,
  parseProvenance,
  provenanceOfXmp,
  unescapeXml,
} from './provenance.js';
import type { Scene } from './scene.js';

/** Of a text in a PNG file. */
const MOST_TEXT_BYTES = 2 ** 20;

/** How an image was made, if the file says so. */
export async function readProvenance(path: string, scene: Scene): Promise<Provenance | undefined> {
  const { format } = scene.header;
  if (format === 'tiff') {
    const { metadata } = await scene.carried();
    const item = metadata.find(({ name, domain }) => name === PROVENANCE_KEY && domain === undefined);
    return item && parseProvenance(unescapeXml(item.xml));
  }
  if (format === 'png') return ofPng(path);
  const { xmp } = await (await loadSharp())(path, { limitInputPixels: false }).metadata();
  return xmp && provenanceOfXmp(xmp.toString('utf8'));
}

/** From the chunks before the pixels. */
async function ofPng(path: string): Promise<Provenance | undefined> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(8);
    for (let at = PNG_SIGNATURE.length; ; at += 12 + head.readUInt32BE(0)) {
      if ((await file.read(head, 0, 8, at)).bytesRead < 8) return undefined;
      const name = head.toString('latin1', 4);
      if (name === 'IDAT') return undefined;
      const length = head.readUInt32BE(0);
      if (name !== 'iTXt' || length > MOST_TEXT_BYTES) continue;
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, at + 8);
      // Keyword, whether and how it is compressed, language, keyword in that language.
      const start = `${PROVENANCE_KEY}\0\0\0\0\0`;
      const text = buffer.toString('utf8');
      if (text.startsWith(start)) return parseProvenance(text.slice(start.length));
    }
  } finally {
    await file.close();
  }
}
