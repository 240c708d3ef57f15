import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HndsrError } from '../../src/errors.js';
import { markBad } from '../../src/registry/marks.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { verifyAll } from '../../src/registry/verify.js';
import { list } from '../../src/registry/versions.js';
import { storeObject } from '../../src/store/objects.js';
import { openStore } from '../../src/store/store.js';
import { recordEvent } from '../../src/store/version-events.js';
import { insertVersion } from '../../src/store/versions.js';
import { makeProject, paramsOf, setRegistry } from './project.js';

const VERSIONS = 8;
const SCORES = { model: 40, operator: 40, bicubic: 30 };

/** Versions without gates; they share one stored file under roles of their own. */
async function makeVersions(cwd: string): Promise<void> {
  setRegistry(cwd, '  gates: {}\n');
  writeFileSync(join(cwd, 'weights'), 'weights');
  const stored = await storeObject(cwd, join(cwd, 'weights'));
  const store = openStore(cwd);
  for (let count = 0; count < VERSIONS; count++) {
    const version = insertVersion(store, {
      ...{ actor: 'tester', scale: 4, datasetFingerprint: 'f', codeVersion: '0', gitCommit: null },
      metrics: { psnr: SCORES, ssim: { model: 0.9, operator: 0.9, bicubic: 0.8 }, lpips: null },
      artifacts: [{ role: `role-${count}`, ...stored }],
    });
    const event = { version, actor: 'tester', fromStage: null, toStage: 'dev', reason: null, gates: null };
    recordEvent(store, { ...event, kind: 'registered' });
  }
  store.close();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: HndsrError) => error.code,
  );
}

describe('any sequence of moves', () => {
  it('keeps one version in production and the chain intact; rollback goes back one replacement at a time, past what was rolled back, retired or marked bad', async () => {
    const moves = fc.array(fc.constantFrom('promote', 'promote', 'rollback', 'archive', 'mark-bad'), {
      maxLength: 14,
    });
    await fc.assert(
      fc.asyncProperty(moves, async (sequence) => {
        const cwd = makeProject();
        try {
          await makeVersions(cwd);
          await follow(cwd, sequence);
          await verifyAll(cwd);
        } finally {
          rmSync(cwd, { recursive: true, force: true });
        }
      }),
      { numRuns: 20, seed: 1 },
    );
  });
});

/** Does each move, and the same on a stack of replaced versions, which must agree. */
async function follow(cwd: string, sequence: readonly string[]): Promise<void> {
  const who = { cwd, actor: 'tester', reason: null, params: paramsOf(cwd) };
  let replaced: number[] = [];
  let production: number | undefined;
  let next = 1;
  for (const move of sequence) {
    if (move === 'promote' && next <= VERSIONS) {
      await promote({ ...who, version: next, to: 'production' });
      if (production !== undefined) replaced.push(production);
      production = next++;
    } else if (move === 'archive' && production !== undefined) {
      await promote({ ...who, version: 'production', to: 'archived' });
      production = undefined;
    } else if (move === 'rollback') {
      const possible = production !== undefined && replaced.length > 0;
      expect(await codeOf(rollback(who))).toBe(possible ? 'done' : 'VERSION_MISSING');
      if (possible) production = replaced.pop();
    } else if (move === 'mark-bad' && replaced.length > 0) {
      markBad({ ...who, version: replaced.at(-1)!, reason: 'seams' });
      replaced = replaced.slice(0, -1);
    }
    const inProduction = list(cwd).filter(({ stage }) => stage === 'production');
    expect(inProduction.map(({ version }) => version)).toEqual(production === undefined ? [] : [production]);
  }
}
