import { z } from 'zod';
import { parseBytes } from './bytes.js';

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
