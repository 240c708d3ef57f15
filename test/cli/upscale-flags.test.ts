import { Command } from 'commander';
import { expect, it } from 'vitest';
import { type UpscaleFlags, upscaleOptions, withUpscaleFlags } from '../../src/cli/upscale-flags.js';
import { defaultParams } from '../../src/config/params.js';

/** What words on the command line come to. */
function options(...words: string[]) {
  const command = withUpscaleFlags(new Command('upscale').argument('[inputs...]').exitOverride());
  command.configureOutput({ writeErr: () => {} }).parse(words, { from: 'user' });
  return upscaleOptions('/project', command.opts<UpscaleFlags>(), defaultParams(), command.args, undefined);
}

it('takes the flags that users of realesrgan-ncnn know', () => {
  const found = options(
    '-s',
    '2',
    '-t',
    '128',
    '-m',
    '3',
    '-n',
    '0.3',
    '-g',
    '-1',
    '-j',
    '2:1:3',
    '-f',
    'jpg',
    '-x',
  );
  expect(found).toMatchObject({
    target: { kind: 'scale', scale: 2 },
    tile: 128,
    version: '3',
    sampling: { strength: 0.3 },
    compute: { device: 'cpu' },
    threads: { load: 2, proc: 1, save: 3 },
    format: 'jpeg',
    tta: true,
  });
  expect(options('-j', '4').threads).toEqual({ load: 4, proc: 1, save: 4 });
  expect(options('-t', '0').tile).toBe(options().tile);
});

it('reads sizes, bands, ranges and memory', () => {
  expect(options('--size', '640x480').target).toEqual({ kind: 'size', width: 640, height: 480 });
  expect(options('--gsd', '2.5').target).toEqual({ kind: 'gsd', metres: 2.5 });
  expect(options('--bands', '4,3,2', '--range', '0,3000').scene).toMatchObject({
    bands: [4, 3, 2],
    scaling: { kind: 'range', low: 0, high: 3000 },
  });
  expect(options('--memory', '2GiB').memory).toBe(2 ** 31);
  expect(options('--memory', '800MB').memory).toBe(8e8);
});

it.each([
  [['--scale', '9'], '--scale 9'],
  [['--size', '640'], '--size 640'],
  [['--bands', '0,1'], '--bands 0,1'],
  [['--range', '5,5'], '--range 5,5'],
  [['--memory', 'much'], '--memory much'],
  [['-j', '1:2:3:4'], '--jobs 1:2:3:4'],
  [['-f', 'bmp'], '--format bmp'],
  [['-g', '1'], '--gpu 1'],
  [['--ensemble', '3', '-n', '0'], '--ensemble 3'],
])('names the flag that is wrong: %j', (words, named) => {
  expect(() => options(...words)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  expect(() => options(...words)).toThrow(named);
});

it('takes one way to say how large an output is', () => {
  expect(() => options('--scale', '2', '--gsd', '3')).toThrow(/cannot be used with/);
});
