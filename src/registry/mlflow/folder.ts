import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomic } from '../../atomic.js';
import type { MlflowTarget } from './target.js';

/** What a server would answer with, and what stands for it in the requests after. */
const ANSWERS: Record<string, Record<string, unknown>> = {
  'experiments/create': { experiment_id: '{{experiment_id}}' },
  'runs/create': { run: { info: { run_id: '{{run_id}}', artifact_uri: '{{artifact_uri}}' } } },
  'model-versions/create': { model_version: { version: '{{model_version}}' } },
};

/**
 * A folder with the requests, in the order of their numbers, for another program to send. An id that a server gives
 * stands as `{{name}}`.
 * @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL
 */
export class MlflowFolder implements MlflowTarget {
  private count = 0;

  constructor(private readonly folder: string) {}

  async post(path: string, body: object): Promise<Record<string, unknown>> {
    const number = String(++this.count).padStart(3, '0');
    const request = { method: 'POST', path: `/api/2.0/mlflow/${path}`, body };
    const name = `${number}-${path.replaceAll('/', '-')}.json`;
    await writeAtomic(join(this.folder, name), `${JSON.stringify(request, null, 2)}\n`);
    return ANSWERS[path] ?? {};
  }

  async experiment(): Promise<string> {
    return '{{experiment_id}}';
  }

  async upload(_artifactUri: string, name: string, file: string): Promise<boolean> {
    const target = join(this.folder, 'artifacts', name);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(file, target);
    return true;
  }
}
