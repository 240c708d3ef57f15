import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { ExitCode, HndsrError } from '../errors.js';
import { packageVersion } from '../version.js';
import { printError } from './render/error.js';

// Not by `import`: to look through a CommonJS package for what it exports takes longer than the rest of `--help`.
const commander = createRequire(import.meta.url)('commander') as typeof import('commander');

/** What a command's module exports: it adds itself, with its flags and help, to the program. */
export interface CommandModule {
  register(program: Command): void;
}

/** The verbs, in the order of `--help`. A module is loaded only when its verb is used. */
const COMMANDS: Record<string, { summary: string; load: () => Promise<CommandModule> }> = {
  init: {
    summary: 'start a project folder: params.yaml and pipeline.yaml',
    load: () => import('./commands/init.js'),
  },
  etl: {
    summary: 'imagery -> validated, split, degraded, catalogued dataset',
    load: () => import('./commands/etl.js'),
  },
  data: { summary: 'what is in a dataset', load: () => import('./commands/data.js') },
  train: {
    summary: 'train one stage of the model, or all in order',
    load: () => import('./commands/train.js'),
  },
  evaluate: {
    summary: 'the model and its baselines on a split of the dataset',
    load: () => import('./commands/evaluate.js'),
  },
  runs: {
    summary: 'training runs: what they ran on, and their curves',
    load: () => import('./commands/runs.js'),
  },
  registry: {
    summary: 'model versions, their stages and gates',
    load: () => import('./commands/registry.js'),
  },
  upscale: { summary: 'images -> super-resolved images', load: () => import('./commands/upscale.js') },
  jobs: {
    summary: 'upscaling jobs: what became of each image',
    load: () => import('./commands/jobs.js'),
  },
  inspect: {
    summary: 'how an image was made, and by which version',
    load: () => import('./commands/inspect.js'),
  },
  export: {
    summary: 'the model in production -> ONNX files that other programs run',
    load: () => import('./commands/export.js'),
  },
  repro: {
    summary: 'run the stages of pipeline.yaml that are not up to date',
    load: () => import('./commands/repro.js'),
  },
  status: {
    summary: 'which stages of pipeline.yaml are out of date, and why',
    load: () => import('./commands/status.js'),
  },
  explain: {
    summary: 'what exactly makes a stage run again',
    load: () => import('./commands/explain.js'),
  },
  dag: {
    summary: 'the stages of pipeline.yaml and what each depends on',
    load: () => import('./commands/dag.js'),
  },
  params: {
    summary: 'params and how they changed since a commit',
    load: () => import('./commands/params.js'),
  },
  metrics: {
    summary: 'metrics of the pipeline, now or of a commit',
    load: () => import('./commands/metrics.js'),
  },
  plots: {
    summary: 'what stages declare as plots, as an HTML page and SVG files',
    load: () => import('./commands/plots.js'),
  },
  push: {
    summary: 'copies of outputs, and earlier runs -> a folder or bucket',
    load: () => import('./commands/push.js'),
  },
  pull: {
    summary: 'a folder or bucket -> outputs in their places',
    load: () => import('./commands/pull.js'),
  },
  fetch: {
    summary: 'a folder or bucket -> copies of outputs, in the cache only',
    load: () => import('./commands/fetch.js'),
  },
  gc: {
    summary: 'remove copies of outputs of earlier runs, down to a budget',
    load: () => import('./commands/gc.js'),
  },
  doctor: {
    summary: 'what this machine can run on, and whether it computes rightly',
    load: () => import('./commands/doctor.js'),
  },
  bench: {
    summary: 'how fast this machine trains and upscales',
    load: () => import('./commands/bench.js'),
  },
};

/** Runs the command line; the one place where errors become exit codes. */
export async function main(argv: string[]): Promise<number> {
  const verbose = argv.includes('--verbose');
  const json = argv.includes('--json');
  try {
    const program = await createProgram(argv);
    await program.parseAsync(argv, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : ExitCode.done;
  } catch (error) {
    if (error instanceof commander.CommanderError)
      return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    printError(error, json, verbose);
    return error instanceof HndsrError ? error.exitCode : ExitCode.failed;
  }
}

async function createProgram(argv: string[]): Promise<Command> {
  const program = new commander.Command('hndsr')
    .description('Satellite-image super-resolution, from imagery to a promoted model and upscaled images.')
    .version(packageVersion())
    .option('-C, --directory <dir>', 'work in this project folder', '.')
    .option('--json', 'results as JSON on stdout, progress as JSON lines on stderr', false)
    .option('--quiet', 'no progress, only results and warnings', false)
    .option('--verbose', 'more detail, and the stack trace of an internal error', false)
    .option('--no-color', 'no colours (also: NO_COLOR=1)')
    .showHelpAfterError('(run with --help for usage)')
    .exitOverride();
  const verb = argv.find((word) => Object.hasOwn(COMMANDS, word));
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (name === verb) (await load()).register(program);
    else program.command(name).summary(summary).description(summary);
  }
  for (const command of program.commands) inheritExit(command);
  return program;
}

function inheritExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) inheritExit(child);
}
