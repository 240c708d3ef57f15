import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePreview } from '../../src/inference/preview.js';
import { previewPage } from '../../src/inference/preview-page.js';
import { openUnitScene } from '../../src/raster/unit-scene.js';
import { LIMITS } from '../raster/bicubic-job.js';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const CHROMIUM = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => BROWSERS.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-preview-'));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

async function plain(width: number, height: number, background: string, path: string): Promise<string> {
  await sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toFile(path);
  return path;
}

async function previewOf(size: [number, number], scale: number) {
  const input = await plain(...size, '#800000', join(folder, `in-${size[0]}.png`));
  const output = await plain(size[0] * scale, size[1] * scale, '#0000c0', join(folder, `out-${size[0]}.png`));
  const source = await openUnitScene(input, { limits: LIMITS });
  try {
    const facts = { version: '3', note: '<script>alert(1)</script>' };
    return await writePreview({ source, output, limits: LIMITS, input: 'a & "b".png', facts });
  } finally {
    await source.close();
  }
}

async function colourAt(path: string, x: number, y: number): Promise<number[]> {
  return [
    ...(await sharp(path).extract({ left: x, top: y, width: 1, height: 1 }).removeAlpha().raw().toBuffer()),
  ];
}

describe('a preview', () => {
  it('shows before and after side by side', async () => {
    const { picture } = await previewOf([60, 40], 2);
    const { width, height } = await sharp(picture).metadata();
    expect([width, height]).toEqual([2 * 120 + 4, 80]);
    expect(await colourAt(picture, 60, 40)).toEqual([0x80, 0, 0]);
    expect(await colourAt(picture, 180, 40)).toEqual([0, 0, 0xc0]);
  });

  it('of a large output is its middle', async () => {
    const { picture, page } = await previewOf([500, 400], 4);
    expect(await sharp(picture).metadata()).toMatchObject({ width: 2404, height: 900 });
    expect(await readFile(page, 'utf8')).toContain('the middle 1200 x 900 of 2000 x 1600 pixels');
  });

  it('is a page that asks for nothing from anywhere, and shows names as they are', async () => {
    const { page } = await previewOf([60, 40], 2);
    const text = await readFile(page, 'utf8');
    expect(text).not.toMatch(/https?:|<link|@import/);
    expect(text).toContain('<title>a &#38; &#34;b&#34;.png</title>');
    expect(text).not.toContain('<script>alert');
  });
});

describe.skipIf(CHROMIUM === undefined)(
  'the page in Chromium (skipped where there is none)',
  { timeout: 240_000 },
  () => {
    const run = async (words: string[], page: string): Promise<string> => {
      const profile = await mkdtemp(join(folder, 'profile-'));
      const { stdout } = await execa(
        CHROMIUM!,
        [
          ...[
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-dev-shm-usage',
          ],
          ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
          ...[`--user-data-dir=${profile}`, '--window-size=400,400', '--hide-scrollbars', ...words, page],
        ],
        { timeout: 200_000, cwd: folder },
      );
      return stdout;
    };
    const write = async (): Promise<string> => {
      const colour = async (background: string): Promise<Uint8Array> =>
        sharp({ create: { width: 200, height: 100, channels: 3, background } })
          .png()
          .toBuffer();
      const path = join(folder, 'page.html');
      const [before, after] = [await colour('#ff0000'), await colour('#0000ff')];
      const { writeAtomic } = await import('../../src/atomic.js');
      await writeAtomic(
        path,
        previewPage({ before, after, width: 200, height: 100, title: 'T', facts: { seed: '7' } }),
      );
      return pathToFileURL(path).href;
    };

    it.each([
      [25, ['before', 'after', 'after']],
      [50, ['before', 'before', 'after']],
      [90, ['before', 'before', 'before']],
    ])('has its divider at %i %% where it is asked for', async (split, shown) => {
      const page = await write();
      const picture = join(folder, `shot-${split}.png`);
      await run([`--screenshot=${picture}`], `${page}#${split}`);
      // Below the padding of 16 pixels and the title; a label stands at the bottom.
      const y = 16 + 27 + 12 + 30;
      const places = [20, 80, 160].map((x) => 16 + x);
      const colours = await Promise.all(places.map((x) => colourAt(picture, x, y)));
      const names = colours.map(([red, , blue]) =>
        red! > 200 ? 'before' : blue! > 200 ? 'after' : 'neither',
      );
      expect(names).toEqual(shown);
    });

    it('runs its script under its own policy, and has its facts in a table', async () => {
      const page = await write();
      const dom = await run(['--dump-dom'], `${page}#30`);
      expect(dom).toContain('style="--split: 30%');
      expect(dom).toContain('<th>seed</th><td>7</td>');
    });
  },
);
