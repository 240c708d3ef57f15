import type { Command } from 'commander';
import { action, numberFlag } from '../context.js';
import { table } from '../render/table.js';
import { finish } from './upscale.js';

const EXAMPLES = `
Examples:
  hndsr jobs list
  hndsr jobs show 1
  hndsr jobs retry 1        the images that failed or were not done; the others are left`;

export function register(program: Command): void {
  const jobs = program
    .command('jobs')
    .summary('upscaling jobs: what became of each image')
    .description('Every `hndsr upscale` is a job; the same command again is the same job.')
    .addHelpText('after', EXAMPLES);

  jobs
    .command('list')
    .description('all jobs, the newest first')
    .action(
      action(async ({ cwd, print }) => {
        const { listJobs } = await import('../../inference/jobs.js');
        const found = listJobs(cwd);
        const rows = found.map(({ id, status, startedAt, files, done, failed }) => [
          String(id),
          status,
          startedAt,
          String(files),
          String(done),
          String(failed),
        ]);
        const heading = ['job', 'status', 'started', 'images', 'done', 'failed'];
        print(found, rows.length === 0 ? 'no job was begun here' : table([heading, ...rows]));
      }),
    );

  jobs
    .command('show <job>')
    .description('the images of a job')
    .action(
      action(async ({ cwd, print }, _flags, job: string) => {
        const { showJob } = await import('../../inference/jobs.js');
        const found = showJob(cwd, numberFlag('job', 1, 2 ** 31, true)(job));
        const rows = found.files.map((file) => [
          file.input,
          file.status,
          file.version === null ? '' : String(file.version),
          file.height === null ? '' : `${file.rows}/${file.height}`,
          file.seconds === null ? '' : `${file.seconds.toFixed(1)} s`,
          file.error === null ? file.output : `${file.errorCode}: ${file.error}`,
        ]);
        const heading = ['image', 'state', 'version', 'rows', 'time', 'output'];
        print(found, `job ${found.id}: ${found.status}\n${table([heading, ...rows])}`);
      }),
    );

  jobs
    .command('retry <job>')
    .description('run a job again: what is done is left, what was begun is gone on with')
    .action(
      action(async (context, _flags, job: string) => {
        const { retryJob } = await import('../../inference/jobs.js');
        const id = numberFlag('job', 1, 2 ** 31, true)(job);
        return finish(await retryJob(context.cwd, id, context), context);
      }),
    );
}
