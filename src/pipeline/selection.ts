import { HndsrError } from '../errors.js';
import { namedBy, type Pipeline, type Stage, selectStages } from './stage.js';

export interface SelectionOptions {
  /** These stages and those they depend on; all stages without any. */
  targets?: readonly string[] | undefined;
  /** The targets alone. */
  singleItem?: boolean | undefined;
  /** The targets and the stages that depend on them. */
  downstream?: boolean | undefined;
}

/**
 * The stages that `repro` is about, in running order.
 * @throws HndsrError PIPELINE_UNKNOWN_STAGE; USAGE for choices that need a target or exclude one another
 */
export function selectForRepro(pipeline: Pipeline, options: SelectionOptions): readonly Stage[] {
  const { targets = [], singleItem = false, downstream = false } = options;
  if (!singleItem && !downstream) return selectStages(pipeline, targets);
  const flag = singleItem ? '--single-item' : '--downstream';
  if (singleItem && downstream) {
    throw new HndsrError('USAGE', '--single-item and --downstream exclude one another', {
      hint: 'The first means a stage alone, the second a stage and all that depend on it.',
    });
  }
  if (targets.length === 0) {
    throw new HndsrError('USAGE', `${flag} needs the name of a stage`, {
      hint: `For example \`hndsr repro ${flag} ${pipeline.order[0]?.name ?? 'STAGE'}\`.`,
    });
  }
  const chosen = new Set(targets.flatMap((target) => namedBy(target, pipeline)));
  if (singleItem) return pipeline.order.filter(({ name }) => chosen.has(name));
  // In running order, so each stage comes after those that it may be chosen for.
  for (const { name } of pipeline.order) {
    if (pipeline.upstream.get(name)!.some((needed) => chosen.has(needed))) chosen.add(name);
  }
  return pipeline.order.filter(({ name }) => chosen.has(name));
}

/** For each of `stages` those of them that it has to wait for, also where a stage between two is not among them. */
export function waitsAmong(pipeline: Pipeline, stages: readonly Stage[]): Map<string, string[]> {
  const among = new Set(stages.map(({ name }) => name));
  const waits = new Map<string, string[]>();
  for (const { name, frozen } of pipeline.order) {
    const needed = frozen ? [] : (pipeline.upstream.get(name) ?? []);
    const found = needed.flatMap((other) => (among.has(other) ? [other] : (waits.get(other) ?? [])));
    waits.set(name, [...new Set(found)]);
  }
  return waits;
}
