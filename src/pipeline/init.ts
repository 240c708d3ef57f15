import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { PIPELINE_FILE } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';

const TEMPLATES = ['params.yaml', PIPELINE_FILE];

const IGNORED = `# What hndsr makes, and the imagery that it reads.
.hndsr/
data/
checkpoints/
reports/
hndsr-plots/
`;

export interface InitResult {
  /** Absolute. */
  directory: string;
  /** Files and folders made, relative to it. */
  created: string[];
}

/**
 * Starts a project folder: params.yaml and pipeline.yaml as this package ships them, data/raw for imagery, and a
 * .gitignore where there is none.
 * @throws HndsrError OUTPUT_EXISTS when either file is there already, OUTPUT_UNWRITABLE, DISK_FULL; then no file is left
 */
export async function initProject(options: { cwd: string; directory?: string }): Promise<InitResult> {
  const directory = resolve(options.cwd, options.directory ?? '.');
  for (const name of TEMPLATES) {
    if (!existsSync(join(directory, name))) continue;
    throw new HndsrError('OUTPUT_EXISTS', `${join(directory, name)} exists already: it is not overwritten`, {
      hint: 'Name another folder, or move that file away first.',
    });
  }
  const created: string[] = [];
  const put = async (name: string, text: string): Promise<void> => {
    await writeAtomic(join(directory, name), text);
    created.push(name);
  };
  try {
    for (const name of TEMPLATES) {
      await put(name, await readFile(new URL(`../../${name}`, import.meta.url), 'utf8'));
    }
    if (!existsSync(join(directory, '.gitignore'))) await put('.gitignore', IGNORED);
    const imagery = join('data', 'raw');
    if ((await mkdir(join(directory, imagery), { recursive: true })) !== undefined) created.push(imagery);
  } catch (error) {
    for (const name of created) await rm(join(directory, name), { force: true });
    throw asWriteError(error, directory);
  }
  return { directory, created };
}
