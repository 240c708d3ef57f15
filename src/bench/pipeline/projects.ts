import { copyFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseYaml } from '../../config/yaml.js';
import { fingerprint } from '../../pipeline/fingerprint.js';
import { hashText } from '../../pipeline/listing.js';
import { Lock, type LockEntry } from '../../pipeline/lock.js';

/** Written long enough ago that its mtime tells all: as files are that nobody is editing. */
const LONG_AGO = new Date(Date.now() - 3_600_000);

/** Files of the same size and different bytes, below `folder`. */
export function writeFiles(folder: string, count: number, bytes: number): void {
  mkdirSync(folder, { recursive: true });
  const content = Buffer.alloc(bytes, 'satellite imagery ');
  for (let index = 0; index < count; index++) {
    content.writeUInt32LE(index);
    const path = join(folder, `tile-${index}.bin`);
    writeFileSync(path, content);
    utimesSync(path, LONG_AGO, LONG_AGO);
  }
}

/** A project of one stage that depends on a folder; wireit reads the same from package.json. */
export function makeFolderProject(cwd: string, files: number, bytes: number): void {
  writeFiles(join(cwd, 'data'), files, bytes);
  const command = 'ls data | wc -l > count.txt';
  writeFileSync(
    join(cwd, 'pipeline.yaml'),
    `stages:\n  count:\n    cmd: ${command}\n    deps: [data]\n    outs: [count.txt]\n`,
  );
  const wireit = { count: { command, files: ['data/**'], output: ['count.txt'] } };
  writeFileSync(
    join(cwd, 'package.json'),
    JSON.stringify({ name: 'p', scripts: { count: 'wireit' }, wireit }),
  );
}

/** This package's own pipeline, with commands that only write files, and as much imagery as the demo has. */
export function makeOwnProject(cwd: string): void {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  copyFileSync(join(root, 'params.yaml'), join(cwd, 'params.yaml'));
  writeFiles(join(cwd, 'data', 'raw'), 325, 20_000);
  const { value } = parseYaml(readFileSync(join(root, 'pipeline.yaml'), 'utf8'), 'pipeline.yaml');
  const pipeline = value as {
    stages: Record<string, { cmd: unknown; outs?: unknown[]; metrics?: unknown[]; plots?: unknown[] }>;
  };
  for (const stage of Object.values(pipeline.stages)) {
    const made = [stage.outs, stage.metrics, stage.plots].flatMap((list) => list ?? []);
    const paths = made.map((entry) => (typeof entry === 'string' ? entry : Object.keys(entry as object)[0]!));
    stage.cmd = paths.map((path) =>
      path.includes('.')
        ? `mkdir -p ${dirname(path)} && echo made > ${path}`
        : `mkdir -p ${path} && for i in $(seq 650); do echo $i > ${path}/$i; done`,
    );
  }
  writeFileSync(join(cwd, 'pipeline.yaml'), JSON.stringify(pipeline));
}

/** Chains of ten stages, each with a file of its own besides what the stage before it made; all up to date. */
export async function makeLargeGraph(cwd: string, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `stage-${index}`);
  mkdirSync(join(cwd, 'in'));
  mkdirSync(join(cwd, 'out'));
  const lines = ['stages:'];
  const entries: Record<string, LockEntry> = {};
  for (const [index, name] of names.entries()) {
    const deps = [`in/${index}`, ...(index % 10 === 0 ? [] : [`out/${index - 1}`])];
    const out = `out/${index}`;
    const cmd = `cat ${deps.join(' ')} > ${out}`;
    lines.push(`  ${name}:`, `    cmd: ${cmd}`, `    deps: [${deps.join(', ')}]`, `    outs: [${out}]`);
    const text = `${index}\n`;
    for (const path of [`in/${index}`, out]) {
      writeFileSync(join(cwd, path), text);
      utimesSync(join(cwd, path), LONG_AGO, LONG_AGO);
    }
    const content = (path: string) => {
      const bytes = `${path.split('/')[1]}\n`;
      return { path, sha256: hashText(bytes), size: bytes.length };
    };
    const inputs = { commands: [cmd], wdir: '.', params: {}, env: {}, outs: [out] };
    const hashes = Object.fromEntries(deps.map((path) => [path, content(path).sha256]));
    entries[name] = {
      cmd: [cmd],
      wdir: '.',
      fingerprint: fingerprint({ ...inputs, deps: hashes }),
      deps: deps.map(content),
      params: {},
      outs: [content(out)],
    };
  }
  writeFileSync(join(cwd, 'pipeline.yaml'), `${lines.join('\n')}\n`);
  await Lock.read(join(cwd, 'hndsr.lock')).writeAll(entries, new Set(names));
}
