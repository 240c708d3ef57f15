import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fingerprint, readEnvironment, type StageInputs } from '../../src/pipeline/fingerprint.js';
import { Project } from './project.js';

const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const inputs: fc.Arbitrary<StageInputs> = fc.record({
  commands: fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
  wdir: fc.string(),
  deps: fc.dictionary(fc.string(), hash),
  params: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
  env: fc.dictionary(fc.string(), fc.option(fc.string())),
  outs: fc.uniqueArray(fc.string()),
});

const reversed = <Value>(record: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(record).reverse());

describe('the fingerprint', () => {
  it('does not depend on the order in which inputs are declared', () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const turned = {
          ...given,
          deps: reversed(given.deps),
          params: reversed(given.params),
          env: reversed(given.env),
          outs: [...given.outs].reverse(),
        };
        expect(fingerprint(turned)).toBe(fingerprint(given));
      }),
    );
  });

  it('is another one when any input is', () => {
    const change = fc.constantFrom(
      (given: StageInputs): StageInputs => ({ ...given, commands: [...given.commands, 'more'] }),
      (given: StageInputs): StageInputs => ({ ...given, commands: [`${given.commands.join('\n')} `] }),
      (given: StageInputs): StageInputs => ({ ...given, wdir: `${given.wdir}/below` }),
      (given: StageInputs): StageInputs => ({
        ...given,
        deps: { ...given.deps, 'a new one': 'f'.repeat(64) },
      }),
      (given: StageInputs): StageInputs => ({ ...given, params: { ...given.params, 'a.new.one': null } }),
      (given: StageInputs): StageInputs => ({ ...given, env: { ...given.env, 'A NEW ONE': null } }),
      (given: StageInputs): StageInputs => ({ ...given, outs: [...given.outs, 'a new output'] }),
    );
    fc.assert(
      fc.property(inputs, change, (given, alter) => {
        expect(fingerprint(alter(given))).not.toBe(fingerprint(given));
      }),
    );
  });

  it('tells values of params apart that only look alike', () => {
    const base = { commands: ['x'], wdir: '.', deps: {}, env: {}, outs: [] };
    const values = [1, '1', [1], { 1: 1 }, null, 'null', true, 'true', 1.5, Number.NaN, 'NaN', '', [], {}];
    const found = values.map((value) => fingerprint({ ...base, params: { key: value } }));
    // NaN keeps its name, unquoted; a text has quotes.
    expect(new Set(found).size).toBe(values.length);
  });
});

describe('environment variables', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  const PIPELINE =
    'stages: {make: {cmd: "echo $SHADE$API_TOKEN > out", env: [SHADE, API_TOKEN], outs: [out]}}';

  it('count when a stage names them, also whether they are set', async () => {
    vi.stubEnv('SHADE', undefined);
    const project = await Project.create({ 'pipeline.yaml': PIPELINE });
    await project.repro();
    vi.stubEnv('OTHER', 'x');
    expect(await project.stale()).toEqual({});
    vi.stubEnv('SHADE', '');
    expect((await project.stale()).make).toEqual(['environment variable SHADE changed from not set to ""']);
    vi.stubEnv('SHADE', 'dark');
    expect(await project.ran()).toEqual(['make']);
    vi.stubEnv('SHADE', undefined);
    expect(await project.restored()).toEqual(['make']);
    expect(await project.read('out')).toBe('\n');
  });

  it('that sound like secrets are in the lock by their hash', async () => {
    vi.stubEnv('API_TOKEN', 'hunter2');
    const project = await Project.create({ 'pipeline.yaml': PIPELINE });
    await project.repro();
    const digest = createHash('sha256').update('hunter2').digest('hex');
    expect(readEnvironment(['API_TOKEN'])).toEqual({ API_TOKEN: `sha256:${digest}` });
    const lock = await project.read('hndsr.lock');
    expect(lock).toContain(`API_TOKEN: sha256:${digest}`);
    expect(lock).not.toContain('hunter2');
    vi.stubEnv('API_TOKEN', 'other');
    expect((await project.stale()).make![0]).toMatch(/^environment variable API_TOKEN changed from "sha256:/);
  });
});
