import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { JobContext } from '../../src/events.js';
import { type ReproOptions, repro, type StageOutcome } from '../../src/pipeline/executor.js';
import { describeReason } from '../../src/pipeline/reason.js';
import { pipelineStatus } from '../../src/pipeline/status.js';

const PROGRAM = fileURLToPath(new URL('../../bin/hndsr.js', import.meta.url));

/** A new folder, removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-pipeline-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** A folder with a pipeline.yaml and other files, for one test. */
export class Project {
  private constructor(readonly cwd: string) {}

  static async create(files: Record<string, string>): Promise<Project> {
    const project = new Project(await temporaryFolder());
    for (const [path, text] of Object.entries(files)) await project.write(path, text);
    return project;
  }

  /** One in a folder that the test has made itself. */
  static at(cwd: string): Project {
    return new Project(cwd);
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.cwd, path)), { recursive: true });
    await writeFile(join(this.cwd, path), text);
  }

  read(path: string): Promise<string> {
    return readFile(join(this.cwd, path), 'utf8');
  }

  async replace(path: string, from: string, to: string): Promise<void> {
    const text = await this.read(path);
    if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
    await this.write(
      path,
      text.replace(from, () => to),
    );
  }

  repro(options: Partial<ReproOptions> = {}, context?: JobContext) {
    return repro({ cwd: this.cwd, ...options }, context);
  }

  /** The stages that `repro` ran. */
  async ran(options: Parameters<Project['repro']>[0] = {}): Promise<string[]> {
    return names(await this.repro(options));
  }

  /** The stages that `repro` took from earlier runs. */
  async restored(options: Parameters<Project['repro']>[0] = {}): Promise<string[]> {
    return (await this.repro(options)).filter(({ restored }) => restored).map(({ stage }) => stage);
  }

  /** The reasons of each stage that is not up to date, as a person reads them. */
  async stale(options: { file?: string } = {}): Promise<Record<string, string[]>> {
    const statuses = await pipelineStatus({ cwd: this.cwd, ...options });
    return Object.fromEntries(
      statuses
        .filter(({ upToDate }) => !upToDate)
        .map(({ stage, reasons }) => [stage, reasons.map(describeReason)]),
    );
  }

  git(...words: string[]): void {
    const identity = ['-c', 'user.name=tester', '-c', 'user.email=tester@example.org'];
    execFileSync('git', [...identity, ...words], { cwd: this.cwd, stdio: 'pipe' });
  }

  /** Makes a checkout of the folder, whose first commit has all that git does not ignore. */
  commitFirst(): void {
    this.git('init', '-q', '-b', 'main');
    this.git('add', '-A');
    this.git('commit', '-q', '-m', 'first');
  }

  spawn(...words: string[]): Run {
    return new Run(spawn(process.execPath, [PROGRAM, ...words], { cwd: this.cwd }));
  }

  /** Runs the command line to its end. */
  async run(...words: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const run = this.spawn(...words);
    const code = await run.ended;
    return { code, stdout: run.stdout, stderr: run.stderr };
  }
}

function names(outcomes: StageOutcome[]): string[] {
  return outcomes.filter(({ ran }) => ran).map(({ stage }) => stage);
}

export class Run {
  stdout = '';
  stderr = '';
  /** The exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;

  constructor(readonly process: ChildProcess) {
    process.stdout!.on('data', (data) => {
      this.stdout += data;
    });
    process.stderr!.on('data', (data) => {
      this.stderr += data;
    });
    this.ended = new Promise((resolve) => process.on('close', resolve));
  }

  get pid(): number {
    return this.process.pid!;
  }
}

/** Waits until `condition` holds, and fails after 45 s. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 45_000; !(await condition()); await sleep(10)) {
    if (performance.now() > deadline) throw new Error(`not so within 45 s: ${condition}`);
  }
}

/** Living processes that work in this folder. Linux only. */
export async function processesIn(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const at = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return pids.filter((_, index) => at[index] === folder || at[index]!.startsWith(`${folder}/`));
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
