import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import type { TileScore } from '../store/tile-scores.js';

const scores = z.object({ model: z.number(), operator: z.number(), bicubic: z.number() });

/** What the registry reads of the metrics.json that `hndsr evaluate` writes; other keys are kept as they are. */
export const evaluationSchema = z.looseObject({
  psnr: scores,
  ssim: scores,
  lpips: scores.nullable(),
  scale: z.number().gt(1),
  datasetFingerprint: z.string(),
  checkpoints: z.object({ autoencoder: z.string(), 'neural-operator': z.string(), diffusion: z.string() }),
  codeVersion: z.string(),
});

export type Evaluation = z.infer<typeof evaluationSchema>;

const tilesSchema = z.array(
  z.looseObject({ id: z.string().min(1), psnr: scores, ssim: scores, lpips: scores.nullable() }),
);

export const TILE_METRICS = ['psnr', 'ssim', 'lpips'] as const;

const AGAIN = 'Run `hndsr evaluate` again.';

/**
 * An evaluation: its metrics.json, and the tiles.json beside it, whose means its scores must be.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the key
 */
export function readEvaluation(path: string): { evaluation: Evaluation; tiles: TileScore[] } {
  const evaluation = read(path, evaluationSchema, "the evaluation's metrics were not found at");
  const tilesPath = join(dirname(path), 'tiles.json');
  const tiles = read(tilesPath, tilesSchema, "the evaluation's scores by tile were not found at");
  const flat = TILE_METRICS.flatMap((metric) =>
    tiles.flatMap(({ id, [metric]: one }) =>
      one === null ? [] : [{ tile: id, metric, model: one.model, bicubic: one.bicubic }],
    ),
  );
  checkTogether(evaluation, flat, tiles.length, tilesPath);
  return { evaluation, tiles: flat };
}

function read<T>(path: string, schema: z.ZodType<T>, missing: string): T {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HndsrError('INPUT_MISSING', `${missing} ${path}`, {
      hint: 'Run `hndsr evaluate` first: a version is registered with what it was measured to do.',
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HndsrError('INPUT_INVALID', `${path} is not JSON: ${(error as Error).message}`, {
      hint: AGAIN,
      cause: error,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new HndsrError('INPUT_INVALID', `${path}: \`${issue.path.join('.')}\`: ${issue.message}`, {
    hint: AGAIN,
  });
}

/** Gates compare versions by their tiles: these must be the tiles that the metrics were taken from. */
function checkTogether(evaluation: Evaluation, tiles: TileScore[], count: number, path: string): void {
  const ids = new Set(tiles.map(({ tile }) => tile));
  const wrong = (what: string): HndsrError =>
    new HndsrError('INPUT_INVALID', `${path}: ${what}`, { hint: AGAIN });
  if (count === 0 || ids.size < count) throw wrong('has no tile, or one twice');
  for (const metric of TILE_METRICS) {
    const list = tiles.filter((one) => one.metric === metric);
    const stated = evaluation[metric];
    const isMeasured = stated !== null && list.length === count;
    if (stated === null ? list.length > 0 : !isMeasured)
      throw wrong(`its \`${metric}\` is not that of all tiles`);
    if (stated === null) continue;
    for (const contender of ['model', 'bicubic'] as const) {
      const mean = list.reduce((sum, one) => sum + one[contender], 0) / count;
      if (Math.abs(mean - stated[contender]) > 1e-6 * Math.max(1, Math.abs(mean))) {
        throw wrong(
          `the mean \`${metric}.${contender}\` of its tiles is ${mean}, but metrics.json says ${stated[contender]}`,
        );
      }
    }
  }
}
