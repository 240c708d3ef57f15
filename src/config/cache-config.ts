import { z } from 'zod';

const UNITS = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * Bytes: a number, or one with a unit, such as "20 GB" or "512MiB".
 * @returns undefined for another text
 */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)?$/.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? 'B') as keyof typeof UNITS];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

const bytes = z.union([z.int().min(0), z.string()]).transform((value, context) => {
  const found = typeof value === 'number' ? value : parseBytes(value);
  if (found === undefined)
    context.addIssue('must be a number of bytes, or one with a unit: "20 GB", "512 MiB"');
  return found ?? z.NEVER;
});

/** The section `cache` of pipeline.yaml. */
export const cacheSchema = z.strictObject({
  /** What `hndsr gc` leaves of earlier runs. */
  max_bytes: bytes.optional(),
  /** Where `push` and `pull` go: a folder, or s3://bucket/prefix. */
  remote: z.string().min(1, 'is an empty address').optional(),
  /** Of a bucket of a service other than AWS. */
  endpoint: z.url('must be an address such as https://storage.example.org').optional(),
});

export type CacheConfig = z.infer<typeof cacheSchema>;
