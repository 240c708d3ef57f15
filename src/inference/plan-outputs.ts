import type { OutputFormat } from '../raster/scene-writer.js';

/** An image to be upscaled: `path` is where it lies below what was named, with forward slashes. */
export interface PlannedInput {
  path: string;
  /** On this machine; for an object of a bucket, where it will be once fetched. */
  absolute: string;
  /** It was fetched from a bucket: an output beside it makes no sense. */
  remote: boolean;
}

export interface OutputOptions {
  /** Absolute path of -o; outputs lie beside their inputs unless given. */
  output?: string;
  /** -o names the one output, not a folder. */
  isFile: boolean;
  /** Of -f. */
  format?: OutputFormat;
  /** Of names without their ending: {name}, {scale}, {model}, and folders before them. */
  template?: string;
  scale: string;
  /** The model's version. */
  model: string;
}

export interface PlannedOutput {
  input: PlannedInput;
  /** Absolute. */
  output: string;
  format: OutputFormat;
  /** Below this folder the output must lie, links followed. */
  root: string;
}

/**
 * Where each output goes. No two inputs get the same one, none is an input, and none lies outside of `root`.
 * @throws HndsrError USAGE
 */
export declare function planOutputs(inputs: readonly PlannedInput[], options: OutputOptions): PlannedOutput[];

/**
 * Looks at the disk: links in the way that lead out of `root`, and outputs that are there already.
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export declare function checkOutput(planned: PlannedOutput, overwrite: boolean): Promise<void>;
