/** Which pipeline a command is about: for commander's `.option(...PIPELINE_FLAG)`. */
export const PIPELINE_FLAG = [
  '-f, --file <path>',
  'the pipeline: pipeline.yaml or a dvc.yaml; its folder is the project folder',
] as const;

export interface PipelineFlag {
  file?: string;
}
