import type { Command } from 'commander';
import type { BenchResult } from '../../bench/bench.js';
import type { ProcessRow } from '../../bench/upscale-processes.js';
import { HndsrError } from '../../errors.js';
import type { Percentiles } from '../../percentiles.js';
import { action, numberFlag } from '../context.js';
import { computeChoice, type DeviceFlags, withDeviceFlags } from '../device-flags.js';
import { table } from '../render/table.js';

const EXAMPLES = `
Examples:
  hndsr bench train-step
  hndsr bench upscale --runs 3 --threads 1 --json
  hndsr bench etl --input data/raw --scales 2,4,8 --json
  hndsr bench registry --versions 100 --metrics 10000
  hndsr bench pipeline --runs 1 --files 100 --megabytes 10 --stages 50 --json`;

interface BenchFlags extends DeviceFlags {
  runs: number;
  threads?: number;
  processes?: number;
}

const BENCHMARKS = {
  'train-step': 'a training step of a reference net: 22 convolutions, batch 8, Adam',
  upscale: 'the default model over one batch of windows: encode, operator, 50 sampler steps, decode',
} as const;

interface EtlFlags {
  input?: string;
  scales: number[];
  jobs?: number;
}

/** "2,4,8" */
function scalesFlag(text: string): number[] {
  const scales = text.split(',').map(Number);
  if (scales.every((scale) => scale > 1 && scale <= 8)) return scales;
  throw new HndsrError('USAGE', `--scales ${text}: expected numbers above 1 and at most 8`, {
    hint: 'For example: --scales 2,4,8',
  });
}

function registerEtl(bench: Command): void {
  bench
    .command('etl')
    .description('the ETL of a folder of images, from nothing: checked, split by scene, degraded, catalogued')
    .option('--input <input>', 'images, as of `hndsr etl` (default: data.input of params.yaml)')
    .option('--scales <list>', 'scales of the low-resolution tiles', scalesFlag, [4])
    .option(
      '--jobs <count>',
      'threads that make tiles (default: all cores)',
      numberFlag('--jobs', 1, 1024, true),
    )
    .action(
      action<EtlFlags>(async (context, { input, scales, jobs }) => {
        const { benchEtl } = await import('../../bench/etl.js');
        const result = await benchEtl({ cwd: context.cwd, input, scales, jobs }, context);
        const { images, seconds, imagesPerSecond } = result;
        context.print(
          result,
          `etl: ${images} images in ${seconds.toFixed(2)} s, ${imagesPerSecond.toFixed(1)} images/s`,
        );
      }),
    );
}

interface RegistryFlags {
  versions: number;
  metrics: number;
  runs: number;
}

function registerRegistry(bench: Command): void {
  const whole = (flag: string, most: number) => numberFlag(flag, 1, most, true);
  bench
    .command('registry')
    .description('promote, list, show, lineage, history and uses on a large registry, as whole calls')
    .option('--versions <count>', 'versions in it', whole('--versions', 1_000_000), 10_000)
    .option('--metrics <count>', 'rows of metrics in it', whole('--metrics', 100_000_000), 1_000_000)
    .option('--runs <count>', 'how often each call is timed', whole('--runs', 1000), 20)
    .action(
      action<RegistryFlags>(async (context, { versions, metrics, runs }) => {
        const { benchRegistry } = await import('../../bench/registry.js');
        const result = await benchRegistry({ versions, metrics, runs: Math.min(runs, versions) }, context);
        const rows = result.calls.map(({ call, medianMs, worstMs }) => [
          ...[call, medianMs.toFixed(1), worstMs.toFixed(1)],
        ]);
        const size = `${versions} versions, ${metrics} rows of metrics, ${(result.databaseBytes / 1e6).toFixed(0)} MB`;
        context.print(result, `${table([['call', 'median, ms', 'worst, ms'], ...rows])}\n${size}`);
      }),
    );
}

interface PipelineFlags {
  runs: number;
  files: number;
  megabytes: number;
  stages: number;
}

function registerPipeline(bench: Command): void {
  const whole = (flag: string) => numberFlag(flag, 1, 1_000_000, true);
  bench
    .command('pipeline')
    .description(
      'whole processes of status, repro and --help on generated projects, beside wireit and sha256sum',
    )
    .option('--runs <count>', 'runs that are timed', whole('--runs'), 9)
    .option('--files <count>', 'dependency files of 10 kB', whole('--files'), 10_000)
    .option('--megabytes <count>', 'what is hashed for the first time', whole('--megabytes'), 1000)
    .option('--stages <count>', 'stages of the generated pipeline', whole('--stages'), 5000)
    .action(
      action<PipelineFlags>(async (context, { runs, files, megabytes, stages }) => {
        const { benchPipeline } = await import('../../bench/pipeline/pipeline.js');
        const result = await benchPipeline({ runs, files, megabytes, stages }, context);
        const ms = (value: number): string => `${value.toFixed(0)} ms`;
        const { wireitMs, statusMs, firstHashMs, sha256sumMs } = result;
        const besideWireit =
          wireitMs === null
            ? 'not installed'
            : `${ms(wireitMs)}, ${(wireitMs / statusMs).toFixed(1)} times as long`;
        context.print(
          result,
          [
            `an empty Node program: ${ms(result.nodeMs)}; --help: ${ms(result.helpMs)}`,
            `status, ${files} files, nothing to do: ${ms(statusMs)} (wireit: ${besideWireit})`,
            `repro, own pipeline, nothing to do: ${ms(result.reproMs)}`,
            `first hash of ${megabytes} MB: ${ms(firstHashMs)} (sha256sum, two processes: ${ms(sha256sumMs)}, ` +
              `ratio ${(sha256sumMs / firstHashMs).toFixed(2)})`,
            `status, ${stages} stages: ${ms(result.graphMs)}, the first time ${ms(result.firstGraphMs)}`,
          ].join('\n'),
        );
      }),
    );
}

/** The median and the slowest of phases, in milliseconds. */
function phaseTable(title: string, phases: Record<string, Percentiles> | undefined): string {
  if (phases === undefined) return '';
  const rows = Object.entries(phases).map(([phase, { p50, p95, p99 }]) => [
    // `hndsr upscale` has both in one program.
    phase === 'operator' && !('encode' in phases) ? 'encode, operator' : phase,
    ...[p50, p95, p99].map((milliseconds) => milliseconds.toFixed(1)),
  ]);
  return `\n${table([[`${title}, ms`, 'p50', 'p95', 'p99'], ...rows])}`;
}

/** What a whole process took, and its phases. */
function processText({ mpixels, steps, seconds, mpixelsPerSecond, peakBytes, phases }: ProcessRow): string {
  const name = `${mpixels} Mpx, ${steps === 0 ? 'strength 0' : `${steps} steps`}`;
  const memory = `${(peakBytes / 2 ** 20).toFixed(0)} MiB at most`;
  const took = `${seconds.toFixed(1)} s, ${mpixelsPerSecond.toFixed(3)} Mpx/s, ${memory}`;
  return `\n${name}: ${took}${phaseTable('its phases', phases)}`;
}

/** What the model reaches of a product of matrices. */
function share({ matrixGflopPerSecond, shareOfMatrix }: BenchResult): string {
  if (matrixGflopPerSecond === undefined || shareOfMatrix === undefined) return '';
  return `, ${(100 * shareOfMatrix).toFixed(0)} % of a product of 1024 x 1024 matrices (${matrixGflopPerSecond.toFixed(0)})`;
}

export function register(program: Command): void {
  const bench = program
    .command('bench')
    .summary('how fast this machine trains and upscales')
    .description(
      'Times fixed work with made-up weights, so that machines, devices and versions can be compared; ' +
        'docs/performance.md says what to expect.',
    )
    .addHelpText('after', EXAMPLES);
  registerEtl(bench);
  registerRegistry(bench);
  registerPipeline(bench);
  for (const [name, description] of Object.entries(BENCHMARKS)) {
    const command = withDeviceFlags(bench.command(name).description(description));
    if (name === 'upscale') {
      command.option(
        '--processes <mpixels>',
        'also time whole processes, of outputs of up to so many million pixels: 1, 16 or 256',
        numberFlag('--processes', 1, 256, true),
      );
    }
    command
      .option('--runs <count>', 'runs that are timed', numberFlag('--runs', 1, 10_000, true), 20)
      .option(
        '--threads <count>',
        'threads of the processor (default: all)',
        numberFlag('--threads', 1, 1024, true),
      )
      .action(
        action<BenchFlags>(async (context, flags) => {
          const { runs, threads } = flags;
          const library = await import('../../bench/bench-on-thread.js');
          const benchmark = name as keyof typeof BENCHMARKS;
          const result = await library.bench(
            {
              benchmark,
              runs,
              compute: computeChoice(flags),
              ...(threads === undefined ? {} : { threads }),
              ...(flags.processes === undefined ? {} : { processes: flags.processes }),
            },
            context,
          );
          const { medianMs, bestMs, gflopPerSecond, engine, device } = result;
          context.print(
            result,
            `${name}: median ${medianMs.toFixed(1)} ms, best ${bestMs.toFixed(1)} ms, ` +
              `${gflopPerSecond.toFixed(0)} GFLOP/s (${engine} on ${device}, ${result.threads} threads)${share(result)}` +
              phaseTable('a batch of windows', result.networks) +
              (result.processes ?? []).map(processText).join(''),
          );
        }),
      );
  }
}
