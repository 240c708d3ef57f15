import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseYaml } from '../../src/config/yaml.js';

const OPTIONS = { merge: true, logLevel: 'error' } as const;

describe('the quick reader of YAML', () => {
  it('gives what the one that knows places gives, for anything that can be written', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), fc.boolean(), (value, flow) => {
        const text = stringify({ value }, flow ? { collectionStyle: 'flow' } : {});
        expect(parseYaml(text, 'f').value).toEqual(parse(text, OPTIONS));
      }),
    );
  });

  it.each(
    [
      '',
      '# nothing\n',
      '~',
      'a: True\nb: yes\nc: NULL\nd: off',
      'a: 0o17\nb: 0x1F\nc: 012\nd: 1_000\ne: 1e3\nf: 1.\ng: .5\nh: +1',
      'a: .nan\nb: -.inf\nc: 1.0\nd: 0b11',
      'a: 2001-12-14\nb: 12:30:45',
      'x: &a {p: 1, q: 0}\ny: {<<: *a, q: 2}\nz: *a',
      'a: |\n  one\n  two\nb: >-\n  one\n  two\n\n  three\n',
      'a: "it\\t\\x41"\nb: \'it\'\'s\'\nc: "one\n  two"',
      '1: x\ntrue: y',
      'a: !!str 1\nb: !own 2',
      '%YAML 1.1\n---\na: yes',
      '[a, b]: c',
      'a:\r\n  b: 1\r\n',
      '\ufeffa: 1',
      '__proto__: {x: 1}',
    ].map((text) => [text]),
  )('agrees on %j', (text) => {
    expect(parseYaml(text, 'f').value).toEqual(parse(text, OPTIONS) ?? {});
  });
});

it('says that a text with ${...} in a flow collection needs quotes', () => {
  expect(() => parseYaml('a: [${x}]\n', 'f.yaml')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_SYNTAX',
      hint: 'In [...] or {...} a text with ${...} needs quotes.',
    }),
  );
});
