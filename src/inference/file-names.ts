import { isAbsolute, relative } from 'node:path';
import type { PlannedOutput } from './plan-outputs.js';

/** As a person would name them: from the project folder, where they are below it. */
export function namesOf(cwd: string, { input, output }: PlannedOutput): { input: string; output: string } {
  const name = input.remote ? `s3://${input.path}` : shortName(cwd, input.absolute);
  return { input: name, output: shortName(cwd, output) };
}

export function shortName(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}
