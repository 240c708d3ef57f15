import { z } from 'zod';
import { duration } from './duration.js';

const path = z.string().min(1, 'is an empty path');

const NO_ADDRESS = 'is an address: only local files and folders count';

function isLocal(text: string): boolean {
  return !/^[a-z][a-z\d+.-]*:\/\//i.test(text);
}

/** One value stands for a list of one. */
function listOf<T extends z.ZodType>(item: T, error: string) {
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(item, { error }));
}

const commands = listOf(
  z.string().trim().min(1, 'is an empty command'),
  'must be a command or a list of commands',
).refine((list) => list.length > 0, 'needs at least one command');

/** A path alone, or a path with its flags: `{path: {cache: false}}`. */
function withFlags<T extends z.ZodType>(flags: T) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? { [value]: {} } : value),
    z
      .record(path, flags, {
        error: 'must be a path, or a path with its flags: {path: {cache: false}}',
      })
      .refine(
        (entry) => Object.keys(entry).length === 1,
        'names more than one path: begin each with its own `-`',
      )
      .refine((entry) => Object.keys(entry).every(isLocal), NO_ADDRESS),
  );
}

const outputFlags = z.strictObject({
  /** False: no copy is kept, and a clean checkout has to run the stage for it (or have it in version control). */
  cache: z.boolean().default(true),
  /** The command finds the previous output in place, to add to it. */
  persist: z.boolean().default(false),
  /** False: it is neither pushed nor pulled. */
  push: z.boolean().default(true),
  desc: z.string().optional(),
  // Accepted for dvc.yaml: for other programs, and for remotes by name, of which there is one here.
  type: z.string().optional(),
  labels: z.array(z.string()).optional(),
  meta: z.unknown().optional(),
  remote: z.string().optional(),
});

const plotFlags = outputFlags.extend({
  /** Field of the horizontal axis; without it: the number of the row. */
  x: z.string().min(1).optional(),
  /** Fields that are drawn; without it: every one that holds numbers. */
  y: listOf(z.string().min(1), 'must be the name of a field, or a list of names').optional(),
  x_label: z.string().optional(),
  y_label: z.string().optional(),
  title: z.string().optional(),
  /** `confusion` and `confusion_normalized`; any other is a chart of lines. */
  template: z.string().optional(),
  /** False: a CSV or TSV without a first line of names; its fields are 0, 1, 2 and so on. */
  header: z.boolean().default(true),
});

const paramKey = z.string().min(1, 'is an empty key');

/** A key of params.yaml, or files with their keys: `{other.yaml: [key]}`; no keys mean the whole file. */
const params = z.union([paramKey, z.record(path, z.union([z.array(paramKey), z.null()]))], {
  error: 'must be a key of params.yaml, or a file with its keys: {other.yaml: [key]}',
});

const retries = z
  .union([z.int().min(0), z.strictObject({ count: z.int().min(0), delay: duration.default(1000) })], {
    error: 'must be a number of times, or {count: 3, delay: 10s}',
  })
  .transform((value) => (typeof value === 'number' ? { count: value, delay: 1000 } : value));

/** A stage of pipeline.yaml; docs/pipeline.md describes each key. */
export const stageSchema = z.strictObject({
  cmd: commands,
  /** Folder, relative to pipeline.yaml, in which the command runs and to which the paths below are relative. */
  wdir: path.default('.'),
  deps: z.array(path.refine(isLocal, NO_ADDRESS)).default([]),
  params: z.array(params).default([]),
  outs: z.array(withFlags(outputFlags)).default([]),
  metrics: z.array(withFlags(outputFlags)).default([]),
  plots: z.array(withFlags(plotFlags)).default([]),
  /** Its dependencies and params are not looked at. */
  frozen: z.boolean().default(false),
  always_changed: z.boolean().default(false),
  desc: z.string().optional(),
  /** Whatever other programs want to find here. */
  meta: z.unknown().optional(),
  /** Environment variables whose values count as inputs. */
  env: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'))
    .default([]),
  /** What it takes while it runs: GPUs, and slots of `-j`. */
  resources: z
    .strictObject({ gpu: z.int().min(0).default(0), slots: z.int().min(1).default(1) })
    .default({ gpu: 0, slots: 1 }),
  /** Of the stages that name the same mutex, one runs at a time. */
  mutex: listOf(z.string().min(1), 'must be a name or a list of names').default([]),
  /** Longest time for one try. */
  timeout: duration.optional(),
  /** Tries after the first; the delay before them doubles each time. */
  retries: retries.default({ count: 0, delay: 1000 }),
  /** Time to end after SIGINT, before SIGKILL. */
  grace: duration.optional(),
});

export type StageConfig = z.infer<typeof stageSchema>;
export type PlotFlags = z.infer<typeof plotFlags>;

/** The keys that are known at a path below a stage, for the hint of an unknown one. */
export function knownStageKeys(path: readonly PropertyKey[]): string[] {
  const [key] = path;
  if (key === undefined) return Object.keys(stageSchema.shape);
  if (key === 'resources') return ['gpu', 'slots'];
  if (key === 'retries') return ['count', 'delay'];
  return Object.keys(key === 'plots' ? plotFlags.shape : outputFlags.shape);
}
