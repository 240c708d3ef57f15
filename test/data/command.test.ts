import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../dist/cli/main.js';
import { newProject, put, putPictures, sidecarText } from './images.js';

const NAMES = Array.from({ length: 24 }, (_, index) => `tile_${String(index).padStart(2, '0')}.png`);
const SPLIT = '-S data.split.block_degrees=1 -S data.split.validation=0.3 -S data.split.test=0.3'.split(' ');

let cwd: string;
let stdout: string;
let stderr: string;
beforeEach(async () => {
  cwd = await newProject();
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(cwd, { recursive: true, force: true });
});

async function putScenes(): Promise<void> {
  const scenes = join(cwd, 'scenes');
  await putPictures(scenes, NAMES);
  await put(scenes, 'broken.png', (await readFile(join(scenes, NAMES[0]!))).subarray(0, 500));
  await put(scenes, 'tiles.csv', sidecarText(NAMES.map((name, index) => [name, 10.5, index + 0.5])));
}

describe('the command', () => {
  it('prints the counts of each split and of the rejects', async () => {
    await putScenes();
    expect(
      await main(['etl', '-C', cwd, '--input', 'scenes', '--output', 'out', '--verbose', ...SPLIT]),
    ).toBe(0);
    expect(stdout).toMatch(
      /^dataset .*\/out\n25 images, 25 of them read\n {2}train +\d+\n {2}validation +\d+\n {2}test +\d+\n {2}rejected: truncated +1\nfingerprint [0-9a-f]{64}\n$/,
    );
    expect(stderr).toMatch(/broken\.png: it ends before the image does .*\(truncated\)/);
  });

  it('gives the same as JSON', async () => {
    await putScenes();
    expect(await main(['etl', '-C', cwd, '--json', '--input', 'scenes', ...SPLIT])).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      dataset: join(cwd, 'data', 'processed'),
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      counts: { train: expect.any(Number), validation: expect.any(Number), test: expect.any(Number) },
      rejects: { truncated: 1 },
      images: { total: 25, read: 25 },
    });
  });

  it.each([
    [
      'a missing folder',
      async () => {},
      'error INPUT_MISSING: input folder CWD/scenes was not found\n  hint: Name the folder of images with --input DIR',
    ],
    [
      'an empty folder',
      async () => void (await mkdir(join(cwd, 'scenes'))),
      'error INPUT_EMPTY: CWD/scenes holds no usable image (files of other kinds: 0)',
    ],
    [
      'a place that cannot be written',
      async () => {
        await putScenes();
        await writeFile(join(cwd, 'out'), 'a file');
      },
      'error OUTPUT_UNWRITABLE: cannot write CWD/out',
    ],
  ])('%s ends it with a message, a hint and exit code 1', async (_, prepare, message) => {
    await prepare();
    expect(await main(['etl', '-C', cwd, '--input', 'scenes', '--output', 'out', ...SPLIT])).toBe(1);
    expect(stderr).toContain(message.replace('CWD', cwd));
    expect(stderr).toContain('hint: ');
    expect(stdout).toBe('');
  });
});
