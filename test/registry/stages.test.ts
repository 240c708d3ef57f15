import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whoWas } from '../../src/registry/history.js';
import { promote } from '../../src/registry/promote.js';
import { rollback } from '../../src/registry/rollback.js';
import { wayTo } from '../../src/registry/stages.js';
import { verifyAll } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { addVersion, errorOf, makeProject, paramsOf, promotion, setRegistry } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const TEAM = `  stages:
    - { name: lab, to: [field, live] }
    - { name: field, to: [lab, live] }
    - { name: live, exclusive: true, to: [shelf] }
    - { name: shelf, to: [lab] }
  gates:
    field:
      metrics: { psnr: { min: 35 } }
    live:
      metrics: { psnr: { min: 26 } }
`;

describe('stages that a team names', () => {
  it('begin with the first, end with the last, and have one version in the exclusive one', async () => {
    setRegistry(cwd, TEAM);
    const first = await addVersion(cwd);
    expect(show(cwd, first).stage).toBe('lab');
    // The shortest way of allowed moves leaves `field` and its gate out.
    expect(await promote(promotion(cwd, first, 'live'))).toMatchObject({ from: 'lab', replaced: null });
    const second = await addVersion(cwd);
    expect(await promote(promotion(cwd, second, 'live'))).toMatchObject({ replaced: first });
    expect(list(cwd).map(({ stage, inProduction }) => [stage, inProduction])).toEqual([
      ['live', true],
      ['shelf', false],
    ]);
    for (const name of ['production', 'live']) expect(show(cwd, name).version).toBe(second);
    const now = new Date(Date.now() + 1000).toISOString();
    for (const name of ['production', 'live'])
      expect(whoWas(cwd, name, now)).toMatchObject([{ version: second }]);
    const back = { cwd, params: paramsOf(cwd), actor: 'tester', reason: null };
    expect(await rollback(back)).toMatchObject({ restored: first, rolledBack: second });
    expect(show(cwd, 'live')).toMatchObject({ version: first, stage: 'live' });
  });

  it('allow the moves that they name, backwards too, and no others', async () => {
    setRegistry(cwd, TEAM);
    const number = await addVersion(cwd, { psnr: 36 });
    await promote(promotion(cwd, number, 'field'));
    expect(await promote(promotion(cwd, number, 'lab'))).toMatchObject({ from: 'field', to: 'lab' });
    await promote(promotion(cwd, number, 'live'));
    expect(await promote(promotion(cwd, number, 'field'))).toMatchObject({ from: 'live', to: 'field' });
    expect(show(cwd, number).history.map(({ toStage }) => toStage)).toEqual([
      'lab',
      'field',
      'lab',
      'live',
      'shelf',
      'lab',
      'field',
    ]);
    expect(list(cwd)[0]!.inProduction).toBe(false);
    const error = await errorOf(promote(promotion(cwd, number, 'production')));
    expect([error.code, error.message]).toEqual(['USAGE', 'there is no stage `production`']);
    expect(error.hint).toContain('lab, field, live, shelf');
  });

  it('take up versions that stand in stages of an earlier list, as from the first', async () => {
    const [first, second] = [await addVersion(cwd), await addVersion(cwd)];
    await promote(promotion(cwd, first, 'production'));
    await promote(promotion(cwd, second, 'canary'));
    setRegistry(cwd, TEAM);
    for (const name of ['production', 1])
      expect(show(cwd, name)).toMatchObject({ stage: 'production', version: 1 });
    expect(await promote(promotion(cwd, second, 'live'))).toMatchObject({ from: 'canary', replaced: first });
    expect(show(cwd, first).stage).toBe('shelf');
    setRegistry(cwd, TEAM.replaceAll('live', 'online'));
    expect(await promote(promotion(cwd, second, 'online'))).toMatchObject({ from: 'live', replaced: null });
    expect(list(cwd).map(({ stage, inProduction }) => [stage, inProduction])).toEqual([
      ['online', true],
      ['shelf', false],
    ]);
    await verifyAll(cwd);
  });

  it('of equally short ways takes that of the stages that come first', () => {
    const stages = [
      { name: 'a', to: ['c', 'b'], exclusive: false },
      { name: 'b', to: ['d'], exclusive: false },
      { name: 'c', to: ['d'], exclusive: true },
      { name: 'd', to: [], exclusive: false },
    ];
    expect(wayTo(stages, 'a', 'd', 1)).toEqual(['b', 'd']);
    expect(() => wayTo(stages, 'd', 'a', 1)).toThrow(/version 1 is d and cannot go to a/);
  });
});

describe('params.yaml', () => {
  const stages = (text: string): string => `  stages:\n${text}`;
  it.each([
    [
      'a move to no stage',
      stages('    - { name: a, to: [bb] }\n    - { name: b, exclusive: true }\n    - { name: c }\n'),
      '`registry.stages.0.to.0`: `bb` is not a stage; the stages are a, b, c',
      [2, 23],
    ],
    [
      'a stage twice',
      stages('    - { name: a }\n    - { name: b, exclusive: true }\n    - { name: a }\n'),
      '`registry.stages.2.name`: `a` is there twice',
      [4, 15],
    ],
    [
      'no exclusive stage',
      stages('    - { name: a }\n    - { name: b }\n    - { name: c }\n'),
      '`registry.stages`: exactly one stage must be `exclusive: true`',
      [2, 5],
    ],
    [
      'an exclusive first stage',
      stages('    - { name: a, exclusive: true }\n    - { name: b }\n    - { name: c }\n'),
      '`registry.stages.0.exclusive`: must be neither the first stage nor the last',
      [2, 29],
    ],
    [
      'a stage that is a word for a version',
      stages('    - { name: latest }\n    - { name: b, exclusive: true }\n    - { name: c }\n'),
      '`registry.stages.0.name`: must not be one of latest',
      [2, 15],
    ],
    [
      'gates of no stage',
      '  gates:\n    prodution:\n      beats: bicubic\n',
      '`registry.gates.prodution`: is not a stage; gates can be set for staging, canary, production, archived',
      [2, 5],
    ],
    [
      'gates of the stage where versions begin',
      '  gates:\n    dev: {}\n',
      '`registry.gates.dev`: is where versions begin; gates can be set for staging, canary, production, archived',
      [2, 5],
    ],
    [
      'a gate that there is not',
      '  gates:\n    production: { beat: bicubic }\n',
      'unknown key `registry.gates.production.beat`',
      [2, 19],
    ],
  ])('%s is refused at its place', async (_what, section, message, [line, column]) => {
    const before = paramsOf(cwd);
    expect(before.registry.stages.map(({ name }) => name)).toEqual([
      ...['dev', 'staging', 'canary', 'production', 'archived'],
    ]);
    setRegistry(cwd, section);
    const error = await errorOf(() => paramsOf(cwd));
    expect(error.message).toBe(`params.yaml: ${message}`);
    const first = error.location!.line;
    expect(error.source).toBe(section.split('\n')[line! - 1]);
    expect([first > 100, error.location!.column]).toEqual([true, column]);
  });

  it('has the default stages where it names none', () => {
    setRegistry(cwd, '  gates: {}\n');
    expect(paramsOf(cwd).registry.stages).toEqual(paramsOf(makeProject()).registry.stages);
  });
});
