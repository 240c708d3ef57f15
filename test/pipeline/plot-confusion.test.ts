import { describe, expect, it } from 'vitest';
import { drawConfusion } from '../../src/pipeline/plot-confusion.js';

const ROWS = [
  ['cat', 'cat'],
  ['cat', 'dog'],
  ['dog', 'dog'],
  ['dog', 'dog'],
  ['<b>', 'dog'],
].map(([actual, predicted]) => ({ actual, predicted, other: 1 }));

/** The texts of the picture, in order. */
function texts(
  rows: readonly Record<string, unknown>[],
  template: string,
  labels = {},
): string[] | undefined {
  const flags = { template, header: true, ...labels };
  const svg = drawConfusion({ title: 'Title', rows, x: 'actual', y: 'predicted', flags });
  return svg === undefined ? undefined : [...svg.matchAll(/<text [^>]*>([^<]*)</g)].map(([, text]) => text!);
}

describe('a confusion matrix', () => {
  it('counts the pairs of classes: columns are those of x, rows those of y', () => {
    expect(texts(ROWS, 'confusion')).toEqual([
      'Title',
      ...['0', '1', '0'],
      ...['1', '1', '2'],
      ...['cat', 'dog'],
      ...['&lt;b&gt;', 'cat', 'dog'],
      'actual',
      'predicted',
    ]);
  });

  it('normalised has the shares of each row', () => {
    const found = texts(ROWS, 'confusion_normalized', { x_label: 'True', y_label: 'Guess' })!;
    expect(found.slice(1, 7)).toEqual(['0.00', '1.00', '0.00', '0.25', '0.25', '0.50']);
    expect(found.slice(-2)).toEqual(['True', 'Guess']);
  });

  it('is none of rows without classes, or with too many', () => {
    expect(texts([{ actual: 'cat' }, { predicted: null, actual: 1 }], 'confusion')).toBeUndefined();
    const many = Array.from({ length: 61 }, (_, index) => ({ actual: index, predicted: 0 }));
    expect(texts(many, 'confusion')).toBeUndefined();
    expect(texts(many.slice(1), 'confusion')).toBeDefined();
  });
});
