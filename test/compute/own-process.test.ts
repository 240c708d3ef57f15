import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { askProcess, complaintIn, inShort } from '../../src/compute/own-process.js';

const folder = mkdtempSync(join(tmpdir(), 'hndsr-own-process-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OWN_PROCESS = new URL('../../dist/compute/own-process.js', import.meta.url).href;
let programs = 0;

/** What a program of this code answers. */
function ask(code: string, words: string[] = [], timeoutMs = 30_000): Promise<object> {
  const path = join(folder, `program${programs++}.mjs`);
  writeFileSync(path, `import { answer } from ${JSON.stringify(OWN_PROCESS)};\n${code}`);
  return askProcess(pathToFileURL(path), words, timeoutMs);
}

describe('a program in a process of its own', () => {
  it('is given words and answers, though drivers write to stdout too and leave work running', async () => {
    const code = `console.log('{driver}'); setInterval(() => {}, 1000); answer({ words: process.argv.slice(2) })`;
    expect(await ask(code, ['a', 'b'])).toEqual({ words: ['a', 'b'] });
  });

  it('answers whole where the answer is larger than a pipe', async () => {
    expect(await ask(`answer({ long: 'x'.repeat(900_000) })`)).toEqual({ long: 'x'.repeat(900_000) });
  });

  it.each([
    [
      'throws',
      `throw new TypeError('the driver\\n is odd')`,
      'its process ended with code 1: TypeError: the driver',
    ],
    [
      'lacks a package',
      `await import('no-such-package')`,
      "its process ended with code 1: Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'no-such-package'",
    ],
    ['crashes', `process.kill(process.pid, 'SIGSEGV')`, 'its process ended with SIGSEGV'],
    ['ends', `console.error('no GPU here'); process.exit(5)`, 'its process ended with code 5: no GPU here'],
    ['says nothing', '', 'its process ended with code 0'],
  ])('that %s gives the reason', async (_name, code, reason) => {
    expect(await ask(code)).toEqual({ reason: expect.stringContaining(reason) });
  });

  it('that hangs is given up', async () => {
    expect(await ask('setInterval(() => {}, 1000)', [], 1000)).toEqual({ reason: 'no answer within 1 s' });
  });
});

describe('what a process left on stderr', () => {
  it('is told by its error, not by the frames and the version of Node around it', () => {
    const stderr =
      '/x.js:1\nthrow new RangeError("no")\n^\n\nRangeError: no\n    at /x.js:1:7\n\nNode.js v20.20.2\n';
    expect(complaintIn(stderr)).toBe('RangeError: no');
    expect(complaintIn('[W] first\nlibcuda: version too old\n\n')).toBe('libcuda: version too old');
    expect(complaintIn('')).toBe('');
  });

  it('is cut where it is long', () => {
    expect(inShort(new Error('a\n   b'))).toBe('a b');
    expect(inShort('x'.repeat(1000))).toHaveLength(241);
  });
});
