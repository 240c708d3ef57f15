import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import { canonicalJson } from '../store/signatures.js';
import { evaluationSchema } from './evaluation.js';

/** The archive's first entry. */
export const MANIFEST_ENTRY = 'manifest.json';

/** A million rows of history are smaller than this; what is larger is not read. */
export const LARGEST_MANIFEST = 256_000_000;

export const objectEntry = (sha256: string): string => `objects/${sha256}`;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
const size = z.int().min(0);

/** Where a version comes from, as the registry tells it that it comes from: kept, and not acted upon. */
const provenanceSchema = z.record(z.string(), z.json());

const versionSchema = z.strictObject({
  /** In the registry that it comes from. */
  version: z.int().positive(),
  stage: z.string(),
  scale: z.number().gt(1),
  metrics: evaluationSchema,
  datasetFingerprint: z.string(),
  codeVersion: z.string(),
  gitCommit: z.string().nullable(),
  gitDirty: z.boolean().nullable(),
  licence: z.string().nullable(),
  intendedUse: z.string().nullable(),
  signature: z
    .strictObject({
      bands: z.array(z.int()).nullable(),
      valueRange: z.tuple([z.number(), z.number()]).nullable(),
      scales: z.union([z.array(z.number()), z.strictObject({ from: z.number(), to: z.number() })]),
    })
    .nullable(),
  artifacts: z.array(z.strictObject({ role: z.string().min(1), sha256: hash, size })).min(1),
  tags: z.array(z.string()),
  tiles: z.array(
    z.strictObject({ metric: z.string(), tile: z.string(), model: z.number(), bicubic: z.number() }),
  ),
  dataset: z
    .strictObject({
      fingerprint: z.string(),
      scale: z.number(),
      counts: z.record(z.string(), z.number()),
      settings: z.record(z.string(), z.json()),
      sources: z.array(z.strictObject({ path: z.string(), sha256: z.string() })),
    })
    .nullable(),
  signatures: z.array(
    z.strictObject({
      key: hash,
      publicKey: z.string(),
      signature: z.string(),
      signedAt: z.string(),
      actor: z.string(),
    }),
  ),
  /** Its events there, the oldest first. */
  history: z.array(provenanceSchema),
  /** The runs and commits there. */
  lineage: provenanceSchema,
});

const registrySchema = z.strictObject({
  format: z.literal('hndsr-registry-1'),
  hndsr: z.string(),
  exportedAt: z.string(),
  versions: z.array(versionSchema).min(1),
});

export type ArchivedRegistry = z.infer<typeof registrySchema>;
export type ArchivedVersion = z.infer<typeof versionSchema>;

const manifestSchema = z.strictObject({ sha256: hash, registry: z.unknown() });

function digestOf(registry: unknown): string {
  return createHash('sha256').update(canonicalJson(registry)).digest('hex');
}

export function encodeManifest(registry: ArchivedRegistry): string {
  return `${JSON.stringify({ sha256: digestOf(registry), registry })}\n`;
}

/** @throws HndsrError INPUT_INVALID, HASH_MISMATCH naming the archive */
export function parseManifest(text: string, archive: string): ArchivedRegistry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidArchive(archive, 'its manifest is not JSON', error);
  }
  const outer = manifestSchema.safeParse(value);
  if (!outer.success) throw invalidArchive(archive, `its manifest is none: ${issueOf(outer.error)}`);
  if (digestOf(outer.data.registry) !== outer.data.sha256) {
    throw new HndsrError(
      'HASH_MISMATCH',
      `${archive} was changed: its manifest has not the hash that it states`,
      {
        hint: ARCHIVE_HINT,
      },
    );
  }
  const parsed = registrySchema.safeParse(outer.data.registry);
  if (parsed.success) return parsed.data;
  throw invalidArchive(archive, `its manifest cannot be read: ${issueOf(parsed.error)}`);
}

function issueOf({ issues }: z.ZodError): string {
  return `\`${issues[0]!.path.join('.')}\`: ${issues[0]!.message}`;
}

const ARCHIVE_HINT = 'Take the file that `hndsr registry export` wrote again from where it was copied.';

export function invalidArchive(archive: string, what: string, cause?: unknown): HndsrError {
  return new HndsrError('INPUT_INVALID', `${archive} is not an archive of a registry: ${what}`, {
    hint: ARCHIVE_HINT,
    cause,
  });
}
