import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkOutput, type OutputOptions, planOutputs } from '../../src/inference/plan-outputs.js';

const input = (path: string, folder = '/scenes') => ({ path, absolute: join(folder, path), remote: false });
const OPTIONS: OutputOptions = { isFile: false, scale: '4', model: '7' };
const outputsOf = (paths: string[], options: Partial<OutputOptions> = {}): string[] =>
  planOutputs(
    paths.map((path) => input(path)),
    { ...OPTIONS, ...options },
  ).map(({ output }) => output);

describe('outputs', () => {
  it('lie beside their images, under a name of their own', () => {
    expect(outputsOf(['a.jpg', 'deep/b.tif'])).toEqual(['/scenes/a-x4.png', '/scenes/deep/b-x4.tif']);
  });

  it('mirror the tree under -o', () => {
    expect(outputsOf(['a.jpg', 'deep/b.TIFF'], { output: '/out' })).toEqual([
      '/out/a.png',
      '/out/deep/b.tif',
    ]);
  });

  it('have the format of -f', () => {
    expect(outputsOf(['a.tif'], { output: '/out', format: 'webp' })).toEqual(['/out/a.webp']);
  });

  it('are named by a template, with folders in it', () => {
    expect(outputsOf(['s/a.png'], { output: '/out', template: 'v{model}/{name}_{scale}x' })).toEqual([
      '/out/s/v7/a_4x.png',
    ]);
  });

  it('of images that differ in their ending alone differ', () => {
    expect(outputsOf(['a.png', 'a.jpg', 'b.png'], { output: '/out' })).toEqual([
      '/out/a-png.png',
      '/out/a-jpg.png',
      '/out/b.png',
    ]);
  });

  it('never take the place of an image', () => {
    expect(outputsOf(['a.png', 'a-x4.png'], { template: '{name}' })).toEqual([
      '/scenes/a-2.png',
      '/scenes/a-x4-2.png',
    ]);
  });

  it('of an earlier run are not upscaled again', () => {
    const paths = ['a.png', 'a-x4.png', 'a-x4.preview.png', 'b-x4.png'];
    expect(outputsOf(paths)).toEqual(['/scenes/a-x4.png', '/scenes/b-x4-x4.png']);
    expect(outputsOf(['a.png', 'out/a.png'], { output: '/scenes/out' })).toEqual(['/scenes/out/a.png']);
  });

  it('is the file that -o names, in the format of its ending', () => {
    const [planned] = planOutputs([input('a.tif')], { ...OPTIONS, isFile: true, output: '/out/b.jpg' });
    expect(planned).toMatchObject({ output: '/out/b.jpg', format: 'jpeg' });
  });

  it.each([
    [{ template: '{nam}' }, /no \{name\}/],
    [{ template: '{name}{seed}' }, /no \{seed\}/],
    [{ template: '../{name}' }, /lead out/],
    [{ template: '/{name}' }, /relative/],
    [{ isFile: true, output: '/out/b.png' }, /2 images/],
    [{ isFile: true, output: '/out/b.png', format: 'tiff' as const }, /./],
  ])('that %j asks for are refused', (options, message) => {
    expect(() => outputsOf(['a.png', 'b.png'], options)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('of a bucket need -o', () => {
    expect(() => planOutputs([{ ...input('a.png'), remote: true }], OPTIONS)).toThrow(/bucket/);
  });

  it('whatever the names are: one for each image, inside -o, no image, and a plain name', () => {
    const segment = fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        '',
        'a',
        'A',
        'é',
        'e\u0301',
        'a.png',
        'con',
        '...',
        ' ',
        '\u0000',
        'x'.repeat(300),
      ),
      fc.string({ unit: 'binary' }),
    );
    const path = fc.tuple(
      fc.array(segment, { maxLength: 4 }),
      segment,
      fc.constantFrom('.png', '.tif', '.JPG', ''),
    );
    fc.assert(
      fc.property(
        fc.array(path, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(undefined, '{name}', 'v{model}/{name}', '{name}{name}', 'x.{name}.'),
        fc.boolean(),
        (paths, template, beside) => {
          const inputs = paths.map(([folders, name, ending]) => {
            const written = [...folders, name + ending].join('/');
            return {
              path: written,
              absolute: join('/scenes', ...folders.filter((f) => f !== '..'), 'in.png'),
              remote: false,
            };
          });
          const options = { ...OPTIONS, ...(template && { template }), ...(!beside && { output: '/out' }) };
          const planned = planOutputs(inputs, options);
          expect(planned.length).toBeGreaterThan(0);
          const outputs = planned.map(({ output }) => output.normalize('NFC').toLowerCase());
          expect(new Set(outputs).size).toBe(outputs.length);
          for (const { output, root, input: from } of planned) {
            expect(resolve(output)).toBe(output);
            expect(output.startsWith(root === sep ? sep : root + sep)).toBe(true);
            expect(planned.some(({ input }) => input.absolute === output)).toBe(false);
            if (beside) expect(root).toBe(join(from.absolute, '..'));
            expect(Buffer.byteLength(basename(output))).toBeLessThan(230);
            expect(extname(output)).toMatch(/^\.(png|tif)$/);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a place on the disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hndsr-plan-'));
    await mkdir(join(folder, 'out', 'inside'), { recursive: true });
    await mkdir(join(folder, 'elsewhere'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const check = (path: string, overwrite = false): Promise<void> => {
    const root = join(folder, 'out');
    return checkOutput({ input: input('a.png'), output: join(root, path), format: 'png', root }, overwrite);
  };

  it('that is free can be had, in folders that are not there too', async () => {
    await expect(check('a.png')).resolves.toBeUndefined();
    await expect(check('new/folders/a.png')).resolves.toBeUndefined();
    await expect(check('inside/a.png')).resolves.toBeUndefined();
  });

  it('that is taken is kept unless --overwrite says so', async () => {
    await writeFile(join(folder, 'out', 'a.png'), 'mine');
    await expect(check('a.png')).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      hint: expect.stringContaining('--overwrite'),
    });
    await expect(check('a.png', true)).resolves.toBeUndefined();
    await expect(check('inside', true)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  it('behind a link that leads out is refused, even with --overwrite', async () => {
    await symlink(join(folder, 'elsewhere'), join(folder, 'out', 'link'));
    await symlink(join(folder, 'nowhere'), join(folder, 'out', 'dangling'));
    for (const path of ['link/a.png', 'link/deep/a.png', 'dangling/a.png'])
      await expect(check(path, true)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  it('behind a link that stays inside can be had, and -o may be a link itself', async () => {
    await symlink(join(folder, 'out', 'inside'), join(folder, 'out', 'near'));
    await expect(check('near/a.png')).resolves.toBeUndefined();
    await symlink(join(folder, 'out'), join(folder, 'alias'));
    const root = join(folder, 'alias');
    await expect(
      checkOutput({ input: input('a.png'), output: join(root, 'a.png'), format: 'png', root }, false),
    ).resolves.toBeUndefined();
  });
});
