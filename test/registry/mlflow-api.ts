import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

/**
 * What MLflow's REST API 2.0 takes, written down from its public documentation and protocol files
 * (https://mlflow.org/docs/latest/rest-api.html; service.proto and model_registry.proto of the project): the fields of
 * each request, those that it requires, and the limits that it names. A field that is not there is refused.
 */

const key = z.string().min(1).max(250);
/** Metrics and params may be called by letters, digits, underscores, dashes, periods, spaces and slashes. */
const plainKey = key.regex(/^[\w\-. /]+$/);
const milliseconds = z.int().min(0);
const tag = z.strictObject({ key, value: z.string().max(5000) });
const param = z.strictObject({ key: plainKey, value: z.string().max(6000) });
const metric = z.strictObject({
  key: plainKey,
  value: z.number(),
  timestamp: milliseconds,
  step: z.int().min(0),
});
const runStatus = z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']);

export const REQUESTS: Record<string, z.ZodType> = {
  'experiments/create': z.strictObject({
    name: z.string().min(1),
    artifact_location: z.string().optional(),
    tags: z.array(tag).optional(),
  }),
  'runs/create': z.strictObject({
    experiment_id: z.string(),
    user_id: z.string().optional(),
    run_name: z.string().optional(),
    start_time: milliseconds.optional(),
    tags: z.array(tag).optional(),
  }),
  'runs/log-batch': z
    .strictObject({
      run_id: z.string(),
      metrics: z.array(metric).max(1000).default([]),
      params: z.array(param).max(100).default([]),
      tags: z.array(tag).max(100).default([]),
    })
    .refine(({ metrics, params, tags }) => metrics.length + params.length + tags.length <= 1000)
    .refine((body) => JSON.stringify(body).length <= 1_000_000),
  'runs/update': z.strictObject({
    run_id: z.string(),
    status: runStatus.optional(),
    end_time: milliseconds.optional(),
    run_name: z.string().optional(),
  }),
  'registered-models/create': z.strictObject({
    name: z.string().min(1),
    tags: z.array(tag).optional(),
    description: z.string().optional(),
  }),
  'model-versions/create': z.strictObject({
    name: z.string().min(1),
    source: z.string().min(1),
    run_id: z.string().optional(),
    tags: z.array(tag).optional(),
    run_link: z.string().optional(),
    description: z.string().optional(),
  }),
  'model-versions/set-tag': z.strictObject({
    name: z.string().min(1),
    version: z.string(),
    key,
    value: z.string(),
  }),
};

export interface Received {
  path: string;
  body: Record<string, unknown>;
  authorization: string | undefined;
}

export interface FakeServer {
  url: string;
  received: Received[];
  /** By path. */
  files: Map<string, Buffer>;
  /** What is answered to a path in place of the usual; an experiment and a model may be there already, for example. */
  answers: Map<string, { status: number; body: unknown }>;
  close(): Promise<void>;
}

const ARTIFACTS = 'mlflow-artifacts:/7/run1/artifacts';

/** Answers as the documentation says, and with 400 what does not fit it. */
export async function startServer(artifactUri = ARTIFACTS): Promise<FakeServer> {
  const received: Received[] = [];
  const files = new Map<string, Buffer>();
  const answers: FakeServer['answers'] = new Map();
  const usual: Record<string, unknown> = {
    'experiments/create': { experiment_id: '7' },
    'experiments/get-by-name': { experiment: { experiment_id: '6', name: 'hndsr' } },
    'runs/create': {
      run: { info: { run_id: 'run1', artifact_uri: artifactUri, status: 'RUNNING' }, data: {} },
    },
    'registered-models/create': { registered_model: { name: 'hndsr' } },
    'model-versions/create': { model_version: { name: 'hndsr', version: '1', status: 'READY' } },
  };
  const server = createServer(async (request, response) => {
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    const { pathname, searchParams } = new URL(request.url!, 'http://localhost');
    const bytes = await bytesOf(request);
    if (request.method === 'PUT') {
      files.set(pathname, bytes);
      return reply(200, {});
    }
    const path = pathname.replace('/api/2.0/mlflow/', '');
    const { authorization } = request.headers;
    const isRead = request.method === 'GET';
    const body = isRead ? Object.fromEntries(searchParams) : JSON.parse(bytes.toString());
    received.push({ path, body, authorization });
    const other = answers.get(path);
    if (other !== undefined) return reply(other.status, other.body);
    const parsed = isRead ? { success: true as const } : REQUESTS[path]?.safeParse(body);
    if (parsed === undefined) return reply(404, { error_code: 'ENDPOINT_NOT_FOUND', message: `no ${path}` });
    if (!parsed.success) {
      return reply(400, {
        error_code: 'INVALID_PARAMETER_VALUE',
        message: JSON.stringify(parsed.error.issues),
      });
    }
    reply(200, usual[path] ?? {});
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ url: `http://127.0.0.1:${port}`, received, files, answers },
    close: () => new Promise((closed) => void server.close(() => closed())),
  };
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
