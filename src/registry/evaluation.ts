import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { HndsrError } from '../errors.js';

const scores = z.object({ model: z.number(), operator: z.number(), bicubic: z.number() });

/** What the registry reads of the metrics.json that `hndsr evaluate` writes; other keys are kept as they are. */
const evaluationSchema = z.looseObject({
  psnr: scores,
  ssim: scores,
  lpips: scores.nullable(),
  scale: z.number().gt(1),
  datasetFingerprint: z.string(),
  checkpoints: z.object({ autoencoder: z.string(), 'neural-operator': z.string(), diffusion: z.string() }),
  codeVersion: z.string(),
});

export type Evaluation = z.infer<typeof evaluationSchema>;

/** @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the key */
export function readEvaluation(path: string): Evaluation {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HndsrError('INPUT_MISSING', `the evaluation's metrics were not found at ${path}`, {
      hint: 'Run `hndsr evaluate` first: a version is registered with what it was measured to do.',
      cause: error,
    });
  }
  return parseEvaluation(text, path);
}

function parseEvaluation(text: string, path: string): Evaluation {
  const hint = 'Run `hndsr evaluate` again.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HndsrError('INPUT_INVALID', `${path} is not JSON: ${(error as Error).message}`, {
      hint,
      cause: error,
    });
  }
  const parsed = evaluationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new HndsrError('INPUT_INVALID', `${path}: \`${issue.path.join('.')}\`: ${issue.message}`, { hint });
}
