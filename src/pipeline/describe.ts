import { withPipeline } from './open-pipeline.js';
import { selectStages } from './stage.js';

export interface StageNode {
  stage: string;
  /** Stages whose outputs it depends on directly. */
  after: readonly string[];
  commands: readonly string[];
  deps: readonly string[];
  params: readonly string[];
  outs: readonly string[];
  frozen: boolean;
  description: string | null;
}

export interface DescribeOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** Only these stages and those they depend on. */
  targets?: readonly string[];
}

/**
 * The stages in running order, and what joins them.
 * @throws HndsrError what `loadPipeline` and `selectStages` throw
 */
export async function describePipeline({ cwd, file, targets }: DescribeOptions): Promise<StageNode[]> {
  return withPipeline(cwd, file, async (pipeline) =>
    selectStages(pipeline, targets).map((stage) => ({
      stage: stage.name,
      after: pipeline.upstream.get(stage.name) ?? [],
      commands: stage.commands,
      deps: stage.deps.map(({ path }) => path),
      params: stage.params.map(({ name }) => name),
      outs: stage.outs.map(({ path }) => path),
      frozen: stage.frozen,
      description: stage.description ?? null,
    })),
  );
}
