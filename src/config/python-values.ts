/** What a Python file assigns. */
export interface PythonValues {
  /** By name; the attributes of a class are a map. */
  values: Record<string, unknown>;
  /** Lines of the assignments, by dotted name, whose values only Python could tell. */
  computed: ReadonlyMap<string, number>;
}

export class PythonSyntaxError extends Error {
  constructor(
    message: string,
    readonly line: number,
  ) {
    super(message);
  }
}

interface Token {
  kind: 'string' | 'number' | 'name' | 'operator';
  text: string;
}

/** A statement, or several with `;` between them, however many lines of text it takes. */
interface Line {
  /** Of its first token; counts from 1. */
  number: number;
  /** Columns before it. */
  indent: number;
  tokens: Token[];
}

/** A module or class. */
interface Block {
  /** Of its lines; undefined before the first one of a class. */
  indent: number | undefined;
  /** Of the line that begins it. */
  outer: number;
  /** Dotted, with a dot at its end; empty for the module. */
  prefix: string;
  values: Map<string, unknown>;
}

/**
 * The literals (numbers, strings, True, False, None; lists, tuples, sets and dicts of them) that a Python file assigns
 * to names, at its top and in the bodies of classes. Nothing is run; what functions, `if`, loops and calls do is not
 * looked at. Tuples and sets become lists, those of sets sorted, and keys of dicts texts.
 * @throws PythonSyntaxError for a string or bracket that does not end
 */
export function parsePythonValues(text: string): PythonValues {
  const module: Block = { indent: 0, outer: -1, prefix: '', values: new Map() };
  const computed = new Map<string, number>();
  const blocks = [module];
  for (const { number, indent, tokens } of logicalLines(text)) {
    let block = blocks.at(-1)!;
    for (; indent < (block.indent ?? block.outer + 1); block = blocks.at(-1)!) blocks.pop();
    block.indent ??= indent;
    // Deeper: in a function, or below an `if`.
    if (indent !== block.indent) continue;
    const [first, second] = tokens;
    if (first?.text === 'class' && second?.kind === 'name') {
      const values = new Map<string, unknown>();
      block.values.set(second.text, values);
      blocks.push({ indent: undefined, outer: indent, prefix: `${block.prefix}${second.text}.`, values });
    } else for (const statement of split(tokens, ';')) assign(statement, block, computed, number);
  }
  return { values: asObject(module.values), computed };
}

function assign(tokens: Token[], block: Block, computed: Map<string, number>, line: number): void {
  const [name, operator] = tokens;
  if (name?.kind !== 'name' || /^(?:else|try|finally)$/.test(name.text)) return;
  if (!/^(?:=|:|(?:[-+*/%@&|^]|\*\*|\/\/|<<|>>)=)$/.test(operator?.text ?? '')) return;
  const sides = operator!.text === ':' ? split(tokens, '=') : [[name], tokens.slice(2)];
  // A type without a value.
  if (sides.length < 2) return;
  const read = operator!.text === '=' || operator!.text === ':' ? readLiteral(sides[1]!) : undefined;
  computed.delete(block.prefix + name.text);
  if (read !== undefined && sides.length === 2) block.values.set(name.text, read.value);
  else {
    block.values.delete(name.text);
    computed.set(block.prefix + name.text, line);
  }
}

function asObject(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const plain = (value: unknown): unknown => (value instanceof Map ? asObject(value) : value);
  return Object.fromEntries([...values].map(([name, value]) => [name, plain(value)]));
}

/** The parts between tokens of this text that stand outside all brackets. */
function split(tokens: readonly Token[], text: string): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === 'operator' && '([{'.includes(token.text)) depth++;
    if (token.kind === 'operator' && ')]}'.includes(token.text)) depth--;
    if (depth === 0 && token.kind === 'operator' && token.text === text) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}

const BLANK = String.raw`(?<blank>(?:[ \t\f\uFEFF]|\\\r?\n|#[^\n]*)+)`;
const NEWLINE = String.raw`(?<newline>\r?\n)`;
const STRING = String.raw`(?<string>[a-zA-Z]{0,2}(?:'''(?:\\[\s\S]|[^\\])*?'''|"""(?:\\[\s\S]|[^\\])*?"""|'(?:\\[\s\S]|[^\\'\n])*'|"(?:\\[\s\S]|[^\\"\n])*"))`;
const NUMBER = String.raw`(?<number>(?:0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+\-]?\d[\d_]*)?)[jJ]?)`;
const NAME = String.raw`(?<name>[\p{L}_][\p{L}\p{N}_]*)`;
const OPERATOR = String.raw`(?<operator>(?:\*\*|\/\/|<<|>>|[\-+*\/%@&\|^=!<>:])=|->|\*\*|\/\/|<<|>>|[\s\S])`;
const TOKEN = new RegExp([BLANK, NEWLINE, STRING, NUMBER, NAME, OPERATOR].join('|'), 'gu');

function logicalLines(text: string): Line[] {
  const lines: Line[] = [];
  let current: Line | undefined;
  let [number, column, depth] = [1, 0, 0];
  for (const { 0: found, groups } of text.matchAll(TOKEN)) {
    if (groups!.newline !== undefined && depth === 0) current = undefined;
    if (groups!.blank === undefined && groups!.newline === undefined) {
      if (/^['"]$/.test(found)) throw new PythonSyntaxError('a string is not closed', number);
      if (current === undefined) {
        current = { number, indent: column, tokens: [] };
        lines.push(current);
      }
      const kind = (['string', 'number', 'name'] as const).find((one) => groups![one] !== undefined);
      current.tokens.push({ kind: kind ?? 'operator', text: found });
      if ('([{'.includes(found)) depth++;
      if (')]}'.includes(found)) depth--;
      if (depth < 0) throw new PythonSyntaxError(`a \`${found}\` closes nothing`, number);
    }
    number += found.split('\n').length - 1;
    column = widthAfter(found, groups!.newline === undefined ? column : 0);
  }
  if (depth > 0) throw new PythonSyntaxError('a bracket is not closed', current!.number);
  return lines;
}

/** Of a line that has had `column` columns. */
function widthAfter(text: string, column: number): number {
  const step = (at: number, one: string) => (one === '\n' ? 0 : one === '\t' ? at + 8 - (at % 8) : at + 1);
  return [...text].reduce(step, column);
}

const NO_LITERAL = new Error('no literal');

/** @returns undefined for what is none */
function readLiteral(tokens: Token[]): { value: unknown } | undefined {
  try {
    return { value: literal(tokens) };
  } catch (error) {
    // The second: a character that does not exist.
    if (error === NO_LITERAL || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Without brackets round it a tuple counts, too. */
function literal(tokens: Token[]): unknown {
  const parts = split(tokens, ',');
  if (parts.length > 1) return itemsOf(parts);
  const [first] = tokens;
  if (first === undefined) throw NO_LITERAL;
  if (first.kind === 'string') return tokens.map(stringOf).join('');
  if (first.kind === 'operator' && '-+'.includes(first.text)) {
    const value = literal(tokens.slice(1));
    if (typeof value !== 'number') throw NO_LITERAL;
    return first.text === '-' ? -value : value;
  }
  if (first.kind === 'operator') return bracketed(first.text + tokens.at(-1)!.text, tokens.slice(1, -1));
  if (tokens.length > 1) throw NO_LITERAL;
  if (first.kind === 'number') return numberOf(first.text);
  if (!Object.hasOwn(CONSTANTS, first.text)) throw NO_LITERAL;
  return CONSTANTS[first.text];
}

const CONSTANTS: Record<string, unknown> = { True: true, False: false, None: null };

function bracketed(brackets: string, inner: Token[]): unknown {
  const parts = split(inner, ',');
  if (brackets === '[]') return itemsOf(parts);
  if (brackets === '()') return inner.length === 0 ? [] : literal(inner);
  if (brackets !== '{}') throw NO_LITERAL;
  if (inner.length === 0) return {};
  if (split(parts[0]!, ':').length === 2) {
    const pairs = withoutLast(parts).map((part) => split(part, ':'));
    if (pairs.some(({ length }) => length !== 2)) throw NO_LITERAL;
    return Object.fromEntries(pairs.map(([key, value]) => [keyOf(literal(key!)), literal(value!)]));
  }
  // Python has the items of a set in another order each time.
  const items = new Map(itemsOf(parts).map((item) => [JSON.stringify(item), item]));
  return [...items.keys()].sort().map((key) => items.get(key));
}

function itemsOf(parts: Token[][]): unknown[] {
  return withoutLast(parts).map(literal);
}

/** The last comma may have nothing behind it. */
function withoutLast(parts: Token[][]): Token[][] {
  return parts.at(-1)!.length === 0 ? parts.slice(0, -1) : parts;
}

/** As Python prints it. */
function keyOf(key: unknown): string {
  if (typeof key === 'string' || typeof key === 'number') return String(key);
  const name = Object.keys(CONSTANTS).find((one) => CONSTANTS[one] === key);
  if (name === undefined) throw NO_LITERAL;
  return name;
}

/** A whole number that JavaScript does not have exactly, and an imaginary one, are none of its numbers. */
function numberOf(text: string): number {
  const plain = text.replaceAll('_', '');
  const value = Number(plain);
  const isWhole = /^(?:0[xXoObB][\da-fA-F]+|\d+)$/.test(plain);
  if (Number.isNaN(value) || (isWhole && !Number.isSafeInteger(value))) throw NO_LITERAL;
  return value;
}

const ESCAPES: Record<string, string> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\n': '',
};

/** What is not plain or raw, such as an f-string or bytes, is no text as it stands. */
function stringOf({ kind, text }: Token): string {
  const [, prefix, quote, body] = /^([a-z]*)('''|"""|'|")([\s\S]*)\2$/i.exec(text) ?? [];
  if (kind !== 'string' || !/^[ru]?$/i.test(prefix!) || quote === undefined) throw NO_LITERAL;
  const unix = body!.replaceAll('\r\n', '\n');
  if (/r/i.test(prefix!)) return unix;
  return unix.replaceAll(
    /\\(?:(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|([0-7]{1,3})|([\s\S]))/g,
    (whole, x?: string, u?: string, long?: string, octal?: string, one?: string) => {
      const hexadecimal = x ?? u ?? long;
      if (hexadecimal !== undefined) return String.fromCodePoint(Number.parseInt(hexadecimal, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      // A character by its name.
      if (one === 'N') throw NO_LITERAL;
      return ESCAPES[one!] ?? ('\\\'"'.includes(one!) ? one! : whole);
    },
  );
}
