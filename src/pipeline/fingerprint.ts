import { createHash } from 'node:crypto';

/** What decides whether a stage's outputs are those that it would make now. */
export interface StageInputs {
  commands: readonly string[];
  wdir: string;
  /** Content hash of each dependency, by path. */
  deps: Readonly<Record<string, string>>;
  /** Value of each selected key of params.yaml. */
  params: Readonly<Record<string, unknown>>;
  /** Declared output paths. */
  outs: readonly string[];
}

/** SHA-256, in hexadecimal, over all of a stage's inputs; the order in which they are declared does not count. */
export function fingerprint(inputs: StageInputs): string {
  const { commands, wdir, deps, params, outs } = inputs;
  return createHash('sha256')
    .update(canonical({ commands, wdir, deps, params, outs: [...outs].sort() }))
    .digest('hex');
}

/** JSON with sorted keys, one text for equal values; numbers that JSON lacks (.nan, .inf) keep their names. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
  }
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'null');
}
