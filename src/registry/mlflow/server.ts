import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { HndsrError, interruptedError } from '../../errors.js';
import { AlreadyExists, type MlflowTarget } from './target.js';

const TIMEOUT_MILLISECONDS = 60_000;
/** Characters of a server's answer that a message repeats. */
const LONGEST_ANSWER = 300;

/**
 * A tracking server. Who asks is told by MLflow's own variables: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
 * MLFLOW_TRACKING_PASSWORD.
 * @throws HndsrError INPUT_UNREACHABLE, INPUT_DENIED, INPUT_INVALID with what the server says; INTERRUPTED
 */
export class MlflowServer implements MlflowTarget {
  private readonly root: URL;

  /** @param url for example http://localhost:5000 */
  constructor(
    url: string,
    private readonly signal: AbortSignal | undefined,
    private readonly environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.root = new URL(url.endsWith('/') ? url : `${url}/`);
  }

  post(path: string, body: object): Promise<Record<string, unknown>> {
    return this.ask(`api/2.0/mlflow/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  async experiment(name: string): Promise<string> {
    const query = `experiment_name=${encodeURIComponent(name)}`;
    const answer = await this.ask(`api/2.0/mlflow/experiments/get-by-name?${query}`, { method: 'GET' });
    return (answer.experiment as { experiment_id: string }).experiment_id;
  }

  async upload(artifactUri: string, name: string, file: string): Promise<boolean> {
    // The server hands these on itself; of any other place only its own client knows how to write there.
    const proxied = /^mlflow-artifacts:\/(?:\/[^/]*\/)?(.*)$/.exec(artifactUri);
    if (proxied === null) return false;
    const { size } = await stat(file);
    await this.ask(`api/2.0/mlflow-artifacts/artifacts/${proxied[1]}/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: Readable.toWeb(createReadStream(file)) as ReadableStream,
      duplex: 'half',
    } as RequestInit);
    return true;
  }

  private async ask(path: string, request: RequestInit): Promise<Record<string, unknown>> {
    const headers = { ...(request.headers as Record<string, string>), ...this.authorization() };
    const limits = [
      AbortSignal.timeout(TIMEOUT_MILLISECONDS),
      ...(this.signal === undefined ? [] : [this.signal]),
    ];
    const place = `${this.root.origin}/${path.split('?')[0]}`;
    const answer = await fetch(new URL(path, this.root), {
      ...request,
      headers,
      signal: AbortSignal.any(limits),
    }).catch((error: unknown) => {
      if (this.signal?.aborted === true) throw interruptedError('exporting');
      throw new HndsrError('INPUT_UNREACHABLE', `${place} does not answer: ${reasonOf(error)}`, {
        hint: 'Give the address of an MLflow tracking server with --to, such as http://localhost:5000.',
        cause: error,
      });
    });
    const text = await answer.text();
    if (answer.ok) return parse(text, place);
    throw refusal(answer.status, text, place);
  }

  private authorization(): Record<string, string> {
    const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user } = this.environment;
    if (token) return { authorization: `Bearer ${token}` };
    if (!user) return {};
    const pair = `${user}:${this.environment.MLFLOW_TRACKING_PASSWORD ?? ''}`;
    return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message;
}

function parse(text: string, place: string): Record<string, unknown> {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new HndsrError('INPUT_INVALID', `${place} answers with something other than JSON`, {
      hint: 'Is this the address of an MLflow tracking server?',
      cause: error,
    });
  }
}

function refusal(status: number, text: string, place: string): Error {
  let answer: { error_code?: unknown; message?: unknown } = {};
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    // A gateway before the server answers in HTML.
  }
  if (answer.error_code === 'RESOURCE_ALREADY_EXISTS') return new AlreadyExists(place);
  const said = String(answer.message ?? text).slice(0, LONGEST_ANSWER);
  if (status === 401 || status === 403) {
    return new HndsrError('INPUT_DENIED', `${place} refuses with ${status}: ${said}`, {
      hint: 'Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.',
    });
  }
  return new HndsrError('INPUT_INVALID', `${place} refuses with ${status}: ${said}`, {
    hint: 'The server may be older or newer than the API that this speaks (MLflow REST API 2.0).',
  });
}
