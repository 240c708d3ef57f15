import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GateVerdict } from '../../src/registry/gates.js';
import { setVersionAlias } from '../../src/registry/marks.js';
import { type Promotion, promote } from '../../src/registry/promote.js';
import { show } from '../../src/registry/versions.js';
import { openStore } from '../../src/store/store.js';
import {
  addVersion,
  errorOf,
  type Measured,
  makeProject,
  paramsOf,
  promotion,
  setRegistry,
  writeDataset,
} from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const gate = (text: string): void => setRegistry(cwd, `  gates:\n    production: ${text}\n`);

/** What the gates would say of a version. */
async function judge(version: number): Promise<GateVerdict[]> {
  const options = { ...promotion(cwd, version, 'production'), dry: true, force: true, reason: 'to see all' };
  return (await promote(options)).verdicts;
}

const toProduction = (version: number): Promise<Promotion> => promote(promotion(cwd, version, 'production'));

describe('beats: bicubic', () => {
  it('asks that all of the interval of the difference on the same tiles is above 0', async () => {
    gate('{ beats: bicubic }');
    // The tiles differ by several dB, the gain on each of them by hundredths: the pairing is what shows it.
    const [psnr, ssim] = await judge(await addVersion(cwd, { psnr: 30.1, ssim: 0.801 }));
    expect(psnr).toMatchObject({ gate: 'psnr > bicubic', passed: true, note: '8 tiles' });
    expect(psnr!.value).toBeCloseTo(0.1, 9);
    expect(psnr!.interval!.low).toBeGreaterThan(0.08);
    expect(psnr!.interval!.high).toBeLessThan(0.12);
    expect(ssim).toMatchObject({ gate: 'ssim > bicubic', passed: true });
  });

  it('is not met by a better mean that chance could have made', async () => {
    gate('{ beats: bicubic }');
    const version = await addVersion(cwd, { psnr: 30.005 });
    const [psnr] = await judge(version);
    expect(psnr!.value).toBeCloseTo(0.005, 9);
    expect(psnr).toMatchObject({ passed: false });
    const error = await errorOf(toProduction(version));
    expect(error.message).toMatch(
      /NOT MET {2}psnr > bicubic: 0\.0050 \(95 % from -0\.\d+ to 0\.\d+; 8 tiles\)/,
    );
  });

  it('is not met, and says so, by a version from before scores were kept by tile', async () => {
    gate('{ beats: bicubic }');
    const version = await addVersion(cwd);
    const store = openStore(cwd);
    store.database.exec('DELETE FROM tile_scores');
    store.close();
    expect((await judge(version))[0]).toMatchObject({
      value: null,
      passed: false,
      note: `version ${version} has no psnr by tile: it was registered before they were kept`,
    });
  });
});

describe('not_worse_than: production', () => {
  const second = async (
    measured: Measured,
    text = '{ not_worse_than: production }',
  ): Promise<GateVerdict[]> => {
    gate('{}');
    await toProduction(await addVersion(cwd));
    gate(text);
    return judge(await addVersion(cwd, measured));
  };

  it('passes where nothing is in production', async () => {
    gate('{ not_worse_than: production }');
    expect(await judge(await addVersion(cwd))).toEqual([
      { gate: 'not worse than production', value: null, passed: true, note: 'no version is in production' },
    ]);
  });

  it('passes within the margins of every metric that both were measured in', async () => {
    const verdicts = await second({ psnr: 30.92, ssim: 0.847, lpips: 0.208 });
    expect(verdicts.map(({ gate: name, passed }) => [name, passed])).toEqual([
      ['psnr not worse than production (version 1) by more than 0.1', true],
      ['ssim not worse than production (version 1) by more than 0.005', true],
      ['lpips not worse than production (version 1) by more than 0.01', true],
    ]);
  });

  it.each([
    ['psnr', { psnr: 30.85 }],
    ['ssim', { ssim: 0.84 }],
    ['lpips', { lpips: 0.215 }],
  ])('is not met where %s is worse by more', async (metric, measured) => {
    const failed = (await second(measured)).filter(({ passed }) => !passed);
    expect(failed.map(({ gate: name }) => name.split(' ')[0])).toEqual([metric]);
  });

  it('takes other margins, and another version by its alias', async () => {
    gate('{}');
    const champion = await addVersion(cwd);
    const who = { cwd, actor: 'tester', params: paramsOf(cwd), remove: false };
    setVersionAlias({ ...who, version: champion, alias: 'champion' });
    gate('{ not_worse_than: champion, margins: { psnr: 2 } }');
    const verdicts = await judge(await addVersion(cwd, { psnr: 29.5, ssim: 0.5 }));
    expect(verdicts.map(({ gate: name, passed }) => [name, passed])).toEqual([
      ['psnr not worse than champion (version 1) by more than 2', true],
    ]);
    gate('{ not_worse_than: favourite }');
    expect((await errorOf(toProduction(2))).message).toBe('there is no version or alias `favourite`');
  });

  it('is not met by scores of another dataset, another scale or other tiles, which say nothing', async () => {
    gate('{}');
    await toProduction(await addVersion(cwd));
    gate('{ not_worse_than: production }');
    const noteOf = async (version: number) =>
      (await judge(version)).map(({ note, passed }) => [note, passed]);
    expect(await noteOf(await addVersion(cwd, { scale: 3 }))).toEqual([
      ['version 1 was measured at x4, this one at x3', false],
    ]);
    const fewer = await addVersion(cwd, { spread: [-1, -1, 1, 1] });
    expect(await noteOf(fewer)).toEqual([['version 1 was measured on other tiles', false]]);
    writeDataset(cwd, 2);
    expect(await noteOf(await addVersion(cwd))).toEqual([
      ['version 1 was measured on another dataset', false],
    ]);
  });
});

describe('other gates', () => {
  it('dataset: the fingerprint must be the one named, or that of production', async () => {
    const first = await addVersion(cwd);
    const { datasetFingerprint } = show(cwd, first);
    gate(`{ dataset: ${datasetFingerprint} }`);
    expect(await judge(first)).toMatchObject([{ passed: true }]);
    gate(`{ dataset: ${'a'.repeat(64)} }`);
    expect(await judge(first)).toMatchObject([{ passed: false, note: `measured on ${datasetFingerprint}` }]);
    gate('{ dataset: production }');
    await toProduction(first);
    writeDataset(cwd, 2);
    expect(await judge(await addVersion(cwd))).toMatchObject([
      { gate: 'dataset = that of production', passed: false },
    ]);
  });

  it('metrics.latency_ms: what the evaluation measured must be low enough', async () => {
    gate('{ metrics: { latency_ms: { max: 50 } } }');
    const [fast, slow] = [await addVersion(cwd, { latency: 49 }), await addVersion(cwd, { latency: 51 })];
    expect(await judge(fast)).toMatchObject([{ gate: 'latency_ms <= 50', value: 49, passed: true }]);
    expect(await judge(slow)).toMatchObject([{ value: 51, passed: false }]);
  });

  it('a metric that was not measured fails, and says so; an optional one passes, and says so', async () => {
    gate('{ metrics: { niqe: { max: 5 }, fid: { max: 9, optional: true } } }');
    expect(await judge(await addVersion(cwd))).toEqual([
      { gate: 'niqe <= 5', value: null, passed: false, note: 'not measured' },
      { gate: 'fid <= 9', value: null, passed: true, note: 'not measured; optional' },
    ]);
  });

  it('require_signature: an unsigned version is refused', async () => {
    gate('{ require_signature: true }');
    const version = await addVersion(cwd);
    expect(await judge(version)).toEqual([
      { gate: 'signed by a trusted key', value: null, passed: false, note: 'it has no signature' },
    ]);
  });
});
