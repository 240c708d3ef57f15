import { z } from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const provenanceSchema = z.object({
  /** Of hndsr. */
  toolVersion: z.string(),
  model: z.object({
    /** Of the registry. */
    version: z.int().positive(),
    /** SHA-256 of each of the model's files, by their role. */
    files: z.record(z.string(), sha256),
  }),
  /** All that the picture depends on besides: scale, steps, strength, eta, seed, ensemble and so on. */
  settings: z.record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.number())]),
  ),
  input: z.object({ name: z.string(), sha256 }),
});

/** How an image was made, kept inside the file: as an item of a TIFF's metadata, a text of a PNG file, or XMP. */
export type Provenance = z.infer<typeof provenanceSchema>;

/** The keyword of a PNG text, and the name of an item of metadata. */
export const PROVENANCE_KEY = 'hndsr';

/** What files are said to be written by. */
export function softwareName({ toolVersion }: Provenance): string {
  return `hndsr ${toolVersion}`;
}

/**
 * JSON, the same for the same. Signs that mean something in XML, and those beyond ASCII, are written as escapes: GDAL
 * undoes the entities of XML twice.
 */
export function provenanceText(provenance: Provenance): string {
  const escaped = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(provenance).replace(/[&<>\u007f-\uffff]/g, escaped);
}

/** @returns undefined for what is no such text */
export function parseProvenance(text: string): Provenance | undefined {
  try {
    return provenanceSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const OPEN = '<hndsr:provenance>';
const CLOSE = '</hndsr:provenance>';

/** A packet of XMP (ISO 16684-1). */
export function provenanceXmp(provenance: Provenance): string {
  return [
    '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:hndsr="urn:hndsr:provenance"',
    ` xmp:CreatorTool="${escapeXml(softwareName(provenance))}">`,
    `${OPEN}${provenanceText(provenance)}${CLOSE}`,
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>',
  ].join('');
}

export function provenanceOfXmp(xmp: string): Provenance | undefined {
  const [start, end] = [xmp.indexOf(OPEN), xmp.indexOf(CLOSE)];
  if (start === -1 || end < start) return undefined;
  return parseProvenance(unescapeXml(xmp.slice(start + OPEN.length, end)));
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function unescapeXml(xml: string): string {
  return xml.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{2,4}));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
