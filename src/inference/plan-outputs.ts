import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { HndsrError } from '../errors.js';
import { EXTENSIONS, formatOfName, type OutputFormat } from '../raster/scene-writer.js';

/** An image to be upscaled: `path` is where it lies below what was named, with forward slashes. */
export interface PlannedInput {
  path: string;
  /** On this machine; for an object of a bucket, where it will be once fetched. */
  absolute: string;
  /** It is fetched from a bucket: there is no place beside it. */
  remote: boolean;
}

export interface OutputOptions {
  /** Absolute path of -o; outputs lie beside their inputs unless given. */
  output?: string;
  /** -o names the one output, not a folder. */
  isFile: boolean;
  /** Of -f; else that of the output's name, TIFF for a TIFF and PNG for all else. */
  format?: OutputFormat;
  /** Of names without their ending: {name}, {scale}, {model}, and folders before them. */
  template?: string;
  /** As it is to stand in names. */
  scale: string;
  /** The model's version. */
  model: string;
}

export interface PlannedOutput {
  input: PlannedInput;
  /** Absolute. */
  output: string;
  format: OutputFormat;
  /** Below this folder the output must lie, links followed. */
  root: string;
}

const DEFAULT_TEMPLATE = { beside: '{name}-x{scale}', below: '{name}' } as const;
/** Bytes of a name that file systems take, less room for an ending and a temporary name. */
const LONGEST_NAME = 180;

/** What is written beside an output, after its name without ending. */
export const SIDE_FILES = {
  preview: '.preview.png',
  page: '.preview.html',
  uncertainty: '.uncertainty.tif',
} as const;

/**
 * Where each output goes. No two inputs get the same one, none is an input, and none lies outside of its root. An
 * image that is the output of another one, or lies beside it, is passed over: an earlier run has written it.
 * @throws HndsrError USAGE
 */
export function planOutputs(inputs: readonly PlannedInput[], options: OutputOptions): PlannedOutput[] {
  const { output, isFile } = options;
  if (isFile && output !== undefined) return [plannedFile(inputs, output, options)];
  const template = checkedTemplate(
    options.template ?? (output === undefined ? DEFAULT_TEMPLATE.beside : DEFAULT_TEMPLATE.below),
  );
  const wanted = withoutOutputs(inputs.map((input) => placeOf(input, template, options)));
  const taken = new Set(wanted.map(({ input }) => folded(input.absolute)));
  const byName = new Map<string, Wanted[]>();
  for (const one of wanted) {
    const name = folded(`${one.stem}.${EXTENSIONS[one.format]}`);
    byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  const planned = new Map<Wanted, string>();
  // Those that have a name for themselves keep it, whatever the others get.
  const groups = [...byName.values()];
  for (const one of groups.filter((group) => group.length === 1).flat())
    planned.set(one, take(one, one.stem, taken));
  for (const one of groups.filter((group) => group.length > 1).flat()) {
    const kind = extname(one.input.path).slice(1).toLowerCase();
    planned.set(one, take(one, `${one.stem}-${cleaned(kind)}`, taken));
  }
  return wanted.map((one) => ({
    input: one.input,
    output: planned.get(one)!,
    format: one.format,
    root: one.root,
  }));
}

function withoutOutputs(wanted: readonly Wanted[]): Wanted[] {
  const makers = new Map<string, Wanted>();
  for (const one of wanted) {
    for (const ending of [`.${EXTENSIONS[one.format]}`, ...Object.values(SIDE_FILES)])
      makers.set(folded(one.stem + ending), one);
  }
  return wanted.filter((one) => {
    const maker = makers.get(folded(one.input.absolute));
    return maker === undefined || maker === one;
  });
}

interface Wanted {
  input: PlannedInput;
  root: string;
  /** Absolute, without its ending. */
  stem: string;
  format: OutputFormat;
}

function plannedFile(
  inputs: readonly PlannedInput[],
  output: string,
  { format }: OutputOptions,
): PlannedOutput {
  const named = formatOfName(output);
  if (inputs.length !== 1 || named === undefined) {
    throw new HndsrError('USAGE', `-o ${output} names one file, and there are ${inputs.length} images`, {
      hint: 'Name a folder with -o, or one image.',
    });
  }
  if (format !== undefined && format !== named) {
    throw new HndsrError('USAGE', `-o ${output} has another ending than -f ${format} says`, {
      hint: 'Leave one of them out.',
    });
  }
  const input = inputs[0]!;
  if (folded(input.absolute) === folded(output)) {
    throw new HndsrError('USAGE', `-o ${output} is the image itself`, {
      hint: 'Choose another name with -o.',
    });
  }
  return { input, output, format: named, root: dirname(output) };
}

function checkedTemplate(template: string): string {
  const problem = templateProblem(template);
  if (problem === undefined) return template;
  throw new HndsrError('USAGE', `--name ${template}: ${problem}`, {
    hint: 'For example: --name "{name}-x{scale}", or --name "v{model}/{name}".',
  });
}

function templateProblem(template: string): string | undefined {
  if (!template.includes('{name}')) return 'it has no {name}, so all outputs would have one name';
  const unknown = template.match(/\{(?!(?:name|scale|model)\})[^}]*\}?/)?.[0];
  if (unknown !== undefined) return `there is no ${unknown}; {name}, {scale} and {model} can be used`;
  if (isAbsolute(template) || /^[A-Za-z]:/.test(template)) return 'it must be relative';
  if (template.split(/[\\/]/).some((part) => part === '..' || part === '.' || part === ''))
    return 'it must not lead out of the folder of outputs';
  return undefined;
}

function placeOf(input: PlannedInput, template: string, options: OutputOptions): Wanted {
  const { output, scale, model } = options;
  if (output === undefined && input.remote) {
    throw new HndsrError('USAGE', `${input.path} comes from a bucket, and has no folder for an output`, {
      hint: 'Name a folder with -o.',
    });
  }
  const parts = input.path.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  const file = parts.pop() ?? 'image';
  const values = { name: withoutEnding(file), scale, model };
  const named = template
    .split(/[\\/]/)
    .map((part) => cleaned(part.replace(/\{(\w+)\}/g, (_, key) => values[key as keyof typeof values])));
  const root = output ?? dirname(input.absolute);
  const folders = output === undefined ? [] : parts.map(cleaned);
  const format = options.format ?? (/\.tiff?$/i.test(file) ? 'tiff' : 'png');
  return { input, root, stem: join(root, ...folders, ...named), format };
}

function withoutEnding(file: string): string {
  return formatOfName(file) === undefined && !/\.gif$/i.test(file) ? file : basename(file, extname(file));
}

/** A part of a path that names something inside its folder on any system. */
function cleaned(part: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must go
  const safe = part.replace(/[\\/:*?"<>|\u0000-\u001f]/g, '_').replace(/^\.+|[. ]+$/g, '_');
  const short = Buffer.from(safe)
    .subarray(0, LONGEST_NAME)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return short === '' ? '_' : short;
}

/** The name, or a numbered one where an input or another output has it. */
function take({ format, root }: Wanted, stem: string, taken: Set<string>): string {
  for (let number = 1; ; number++) {
    const path = `${number === 1 ? stem : `${stem}-${number}`}.${EXTENSIONS[format]}`;
    if (!isInside(root, path)) throw new Error(`${path} is outside of ${root}`);
    if (taken.has(folded(path))) continue;
    taken.add(folded(path));
    return path;
  }
}

/** Names that some file systems take for one. */
function folded(path: string): string {
  return path.normalize('NFC').toLowerCase();
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/**
 * Looks at the disk: links in the way that lead out of the root, and outputs that are there already.
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export async function checkOutput({ output, root }: PlannedOutput, overwrite: boolean): Promise<void> {
  await refuseEscape(root, output);
  const there = await lstat(output).catch(() => undefined);
  if (there === undefined) return;
  if (there.isDirectory()) {
    throw new HndsrError('OUTPUT_EXISTS', `${output} is a folder`, {
      hint: 'Choose another name with --name.',
    });
  }
  if (overwrite) return;
  throw new HndsrError('OUTPUT_EXISTS', `${output} exists already`, {
    hint: 'Choose another place with -o, or add --overwrite.',
  });
}

async function refuseEscape(root: string, output: string): Promise<void> {
  const real = await realpath(root).catch(() => undefined);
  // A folder that is not there has no links in it.
  if (real === undefined) return;
  let folder = dirname(output);
  let found: string | undefined;
  while (found === undefined) {
    found = await realpath(folder).catch(() => undefined);
    // A link that leads nowhere is in the way all the same.
    if (found === undefined && (await lstat(folder).catch(() => undefined)) !== undefined) found = '';
    folder = dirname(folder);
  }
  if (found === real || isInside(real, found === '' ? sep : found)) return;
  throw new HndsrError('OUTPUT_UNWRITABLE', `${output} would lie outside of ${root}: a link leads there`, {
    hint: 'Take the link away, or choose another folder with -o.',
  });
}
