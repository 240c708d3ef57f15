import { loadPipeline } from './stage.js';

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

/**
 * The stages in running order, and what joins them.
 * @throws HndsrError what `loadPipeline` throws
 */
export async function describePipeline(options: {
  cwd: string;
  file?: string | undefined;
}): Promise<StageNode[]> {
  const { order, upstream } = await loadPipeline(options.cwd, options.file);
  return order.map((stage) => ({
    stage: stage.name,
    after: upstream.get(stage.name) ?? [],
    commands: stage.commands,
    deps: stage.deps.map(({ path }) => path),
    params: stage.params.map(({ name }) => name),
    outs: stage.outs.map(({ path }) => path),
    frozen: stage.frozen,
    description: stage.description ?? null,
  }));
}
