import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hndsr, makeTinyProject, ROOT, VERBS } from './tiny-project.js';

/** The lines of README's shell blocks that begin with hndsr, in order. */
function readmeCommands(): string[] {
  const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)];
  return blocks.flatMap(([, block]) => block!.split('\n')).filter((line) => line.startsWith('hndsr '));
}

/** The examples that `--help` of each command shows; what comes after several spaces is a comment. */
function helpExamples(): string[] {
  const folder = join(ROOT, 'src', 'cli', 'commands');
  // A folder holds the parts of the command of its name.
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  expect(files.sort()).toEqual(VERBS.map((verb) => `${verb}.ts`).sort());
  return VERBS.flatMap((verb) => {
    const name = `${verb}.ts`;
    const [, examples] = /const EXAMPLES = `\nExamples?:\n([\s\S]*?)`;/.exec(
      readFileSync(join(folder, name), 'utf8'),
    )!;
    return examples!
      .split('\n')
      .filter((line) => line.startsWith('  hndsr '))
      .map((line) => line.trim().replace(/ {2,}.*$/, ''));
  });
}

function wordsOf(command: string): string[] {
  const words = command.match(/"[^"]*"|\S+/g)!.slice(1);
  return words.map((word) => word.replaceAll('"', ''));
}

describe.sequential('in a project whose job has run once', () => {
  let cwd: string;

  beforeAll(async () => {
    cwd = await makeTinyProject();
    cpSync(join(cwd, 'data', 'raw'), join(cwd, 'scenes'), { recursive: true });
    rmSync(join(cwd, 'scenes', 'scene15.png'));
    cpSync(join(cwd, 'data', 'raw', 'scene0.png'), join(cwd, 'scene.png'));
    expect((await hndsr(cwd, 'repro')).code).toBe(0);
    // The tag that examples compare with.
    const identity = ['-c', 'user.name=tester', '-c', 'user.email=tester@example.org'];
    const files = ['params.yaml', 'pipeline.yaml', 'hndsr.lock', 'reports'];
    for (const words of [
      ['init', '-q'],
      ['add', ...files],
      ['commit', '-q', '-m', 'first'],
      ['tag', 'v1.0'],
    ]) {
      await execa('git', [...identity, ...words], { cwd });
    }
  }, 240_000);

  afterAll(() => {
    rmSync(cwd, { recursive: true, force: true });
  });

  it.each(readmeCommands())('README: %s', async (command) => {
    const { code, stderr } = await hndsr(cwd, ...wordsOf(command));
    expect(code, stderr).toBe(0);
  });

  // There already, by the commands above: refused, as documented, but understood.
  const REFUSED = [/^hndsr init$/, /^hndsr export -o onnx$/];
  it.each(helpExamples())('--help: %s', async (command) => {
    const { code, stderr } = await hndsr(cwd, ...wordsOf(command));
    if (REFUSED.some((pattern) => pattern.test(command)))
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^error [A-Z_]+: /)]);
    else expect(code, stderr).toBe(0);
  });
});
