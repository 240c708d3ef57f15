import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseValues } from '../../src/config/values-file.js';

const python = (text: string) => parseValues(text, 'params.py');
const toml = (text: string) => parseValues(text, 'params.toml').value;

/** As Python writes it. */
function repr(value: unknown): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${repr(item)}`)
    .join(', ')}}`;
}

describe('Python', () => {
  it('gives the literals that a module and its classes assign', () => {
    const { value, untold } = python(`#!/usr/bin/env python
"""Params. LR = 7"""
import os  # x = 1
LR = 1e-3; EPOCHS: int = 1_000
NEG, HEX = 0, 0xff
NEG = -2.5
FLAGS = (True, False, None)
ONE = 1,
GROUPED = ("a" 'b'
           "c")  # joined
LAYERS = [
    64,  # first
    32,
]
NESTED = {"a": [1, (2,)], 'b': {"c": {}}, 3: "three", True: ()}
SET = {"z", "a", "a"}

class Model(Base):
    """A docstring
depth = 1
"""
    depth = 4
    class Inner:
        width: float = .5

    def __init__(self):
        depth = 5
        self.depth = 6

    last = 'yes'

class Tabs:
\tx = 1
\tif x:
\t\tx = 2

if LR > 1:
    LR = 2
def f(): LR = 3
else_ = r'\\d' "\\d\\x41\\u00e9\\101\\n" '''it's
two lines''' "\\
"
`);
    expect(value).toEqual({
      LR: 0.001,
      EPOCHS: 1000,
      NEG: -2.5,
      FLAGS: [true, false, null],
      ONE: [1],
      GROUPED: 'abc',
      LAYERS: [64, 32],
      NESTED: { a: [1, [2]], b: { c: {} }, 3: 'three', True: [] },
      SET: ['a', 'z'],
      Model: { depth: 4, Inner: { width: 0.5 }, last: 'yes' },
      Tabs: { x: 1 },
      else_: "\\d\\dA\u00e9A\nit's\ntwo lines",
    });
    expect([...untold]).toEqual([]);
  });

  it.each([
    'float("inf")',
    '2 * 3',
    'A + [1]',
    '[1] + [2]',
    '(1) + (2)',
    '{"a": 1} | {"b": 2}',
    '{**x}',
    'f"{x}"',
    'b"bytes"',
    '"\\N{DASH}"',
    '"%s" % 1',
    'x.y',
    'x[0]',
    '[1][0]',
    'lambda: 1',
    '[x for x in y]',
    '-True',
    'not True',
    '1 if x else 2',
    '3j',
    '9007199254740993',
    'B = 1',
    '"\\U00110000"',
  ])('leaves %s untold', (expression) => {
    const { value, untold } = python(`X = 1\n\nX = ${expression}\nY = 2\n`);
    expect(value).toEqual({ Y: 2 });
    expect(untold.get('X')).toMatchObject({
      location: { file: 'params.py', line: 3, column: 1 },
      source: `X = ${expression}`,
    });
  });

  it('takes the last assignment', () => {
    expect(python('A = f()\nA = 1').untold.size).toBe(0);
    expect(python('A = 1\nA += 1').untold.has('A')).toBe(true);
    expect(python('A: int\nB = 1').value).toEqual({ B: 1 });
  });

  it.each([
    ['A = [1,\n2', 1, 'a bracket is not closed'],
    ['A = 1\nB = "x\n', 2, 'a string is not closed'],
    ['A = 1\n\nB = 2)', 3, 'a `)` closes nothing'],
  ])('%j is told with its line', (text, line, what) => {
    expect(() => python(text)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_SYNTAX',
        message: `params.py is not valid Python: ${what}`,
        location: expect.objectContaining({ line }),
      }),
    );
  });

  it('reads back any value that Python can write', () => {
    const plain = fc.jsonValue().map((value) => JSON.stringify(value));
    fc.assert(
      fc.property(plain, (json) => {
        const { value, untold } = python(`class A:\n  x = ${repr(JSON.parse(json))}\n`);
        // JavaScript has no such whole numbers exactly.
        if (untold.size > 0) expect(json).toMatch(/\d{16}/);
        else expect(JSON.stringify(value)).toBe(`{"A":{"x":${json}}}`);
      }),
    );
  });
});

describe('TOML', () => {
  it('gives its values, of which dates are texts', () => {
    const text =
      'lr = 0.1\nday = 2024-05-01\nat = 2024-05-01T10:00:00Z\n[model]\nlayers = [64, 32]\nbig = inf\n[model."a b"]\nx = true';
    expect(toml(text)).toEqual({
      lr: 0.1,
      day: '2024-05-01',
      at: '2024-05-01T10:00:00.000Z',
      model: { layers: [64, 32], big: Number.POSITIVE_INFINITY, 'a b': { x: true } },
    });
  });

  it('tells a mistake with its place', () => {
    expect(() => toml('a = 1\nb = = 2\n')).toThrow(
      expect.objectContaining({
        code: 'CONFIG_SYNTAX',
        message: expect.stringMatching(/^params\.toml is not valid TOML: [^\n]+$/),
        location: { file: 'params.toml', line: 2, column: expect.any(Number) },
        source: 'b = = 2',
      }),
    );
  });
});
