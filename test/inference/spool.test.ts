import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Spool } from '../../src/inference/spool.js';
import type { FinishedRows } from '../../src/inference/upscale-scene.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hndsr-spool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const PARTS: FinishedRows[] = [
  { y: 0, count: 2, rows: { samples: Uint16Array.of(1, 2, 3, 65_535), mask: Uint8Array.of(1, 0, 1) } },
  { y: 2, count: 1, rows: { samples: Uint16Array.of(7, 8) } },
  { y: 3, count: 3, rows: { samples: Uint16Array.of(9) }, uncertainty: Float32Array.of(0.25, -1) },
];

const path = (): string => join(folder, 'jobs', 'one.rows');

async function written(key = 'key'): Promise<void> {
  const spool = await Spool.open(path(), key);
  for (const part of PARTS) await spool.add(part);
  await spool.close();
}

async function replayed(key = 'key'): Promise<{ parts: FinishedRows[]; next: number; spool: Spool }> {
  const spool = await Spool.open(path(), key);
  const parts: FinishedRows[] = [];
  const next = await spool.replay(async (rows) => void parts.push(rows));
  return { parts, next, spool };
}

it('gives back what it was given, and says with which row to go on', async () => {
  await written();
  const { parts, next, spool } = await replayed();
  expect(parts).toEqual(PARTS);
  expect(next).toBe(6);
  await spool.remove();
  expect(existsSync(path())).toBe(false);
});

it('gives some of its rows again, of one part or across several', async () => {
  const spool = await Spool.open(path(), 'key');
  const part = (y: number, count: number): FinishedRows => {
    const each = (values: number): number[] =>
      Array.from({ length: count * values }, (_, index) => y * values + index);
    return {
      ...{ y, count },
      rows: { samples: Uint16Array.from(each(3)), mask: Uint8Array.from(each(1)) },
      uncertainty: Float32Array.from(each(1)),
    };
  };
  for (const [y, count] of [
    [0, 4],
    [4, 1],
    [5, 6],
  ] as const)
    await spool.add(part(y, count));
  await spool.close();
  const { spool: again } = await replayed();
  await again.add(part(11, 2));
  for (const [y, count] of [
    [1, 2],
    [0, 13],
    [3, 5],
    [10, 2],
  ] as const)
    expect(await again.rows(y, count)).toEqual(part(y, count));
  await again.close();
});

it('forgets a part that was cut off at any byte or damaged, and goes on behind the one before', async () => {
  await written();
  const whole = readFileSync(path());
  for (let length = 0; length < whole.length; length += 13) {
    writeFileSync(path(), whole.subarray(0, length));
    const { parts, next, spool } = await replayed();
    expect(parts).toEqual(PARTS.slice(0, parts.length));
    expect(parts.length).toBeLessThan(3);
    for (const part of PARTS.slice(parts.length)) await spool.add(part);
    await spool.close();
    expect(next).toBe(PARTS[parts.length]!.y);
    expect(readFileSync(path())).toEqual(whole);
  }
  const damaged = Buffer.from(whole);
  damaged[whole.length - 3]! ^= 1;
  writeFileSync(path(), damaged);
  const { parts, spool } = await replayed();
  expect(parts).toEqual(PARTS.slice(0, 2));
  await spool.close();
});

it('takes nothing that was made with other settings', async () => {
  await written('other');
  appendFileSync(path(), 'more');
  const { parts, next, spool } = await replayed();
  expect([parts, next]).toEqual([[], 0]);
  await spool.close();
  expect(statSync(path()).size).toBe(0);
});
