import { paramsSchema } from './params.js';

/** The parts of a zod schema that say which keys it has. */
interface SchemaPart {
  shape?: Record<string, SchemaPart>;
  valueType?: SchemaPart;
  options?: SchemaPart[];
  def?: { innerType?: SchemaPart; in?: SchemaPart; items?: SchemaPart[] };
}

/** Whether hndsr's own commands read a key of params.yaml; they refuse a file that has others. */
export function isKnownParam(path: readonly string[]): boolean {
  return holds(paramsSchema as unknown as SchemaPart, path);
}

function holds(part: SchemaPart | undefined, path: readonly string[]): boolean {
  const [key, ...below] = path;
  if (part === undefined || key === undefined) return part !== undefined;
  const inner = part.def?.innerType ?? part.def?.in;
  if (inner !== undefined) return holds(inner, path);
  if (part.options !== undefined) return part.options.some((option) => holds(option, path));
  if (part.shape !== undefined) return Object.hasOwn(part.shape, key) && holds(part.shape[key], below);
  return part.valueType !== undefined && holds(part.valueType, below);
}
