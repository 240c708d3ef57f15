import * as ort from 'onnxruntime-node';
import {
  checkFeeds,
  checkState,
  type Engine,
  type HostTensor,
  type Program,
  type Signature,
  sizeOf,
  type TensorFn,
} from '../engine.js';
import { channelBlock } from './channel-block.js';
import { OUTPUT_PREFIX, trace } from './trace.js';

export interface GraphOptions {
  /** Threads within one operator; 0 lets ONNX Runtime take the physical cores. */
  threads?: number;
}

/** Traces a tensor function once to an ONNX model and runs it in ONNX Runtime. */
export class GraphEngine implements Engine {
  readonly name = 'graph';
  readonly device = 'cpu';
  /** How many functions were traced: one for each program, none for a run. */
  traces = 0;
  private readonly programs = new Set<GraphProgram>();

  constructor(private readonly options: GraphOptions = {}) {}

  async compile(fn: TensorFn, signature: Signature): Promise<Program> {
    this.traces++;
    const traced = trace(fn, signature, await channelBlock());
    const session = await ort.InferenceSession.create(traced.model, {
      executionProviders: [this.device],
      graphOptimizationLevel: 'all',
      intraOpNumThreads: this.options.threads ?? 0,
      // Warnings would tell of optimiser passes, not of anything a user did.
      logSeverityLevel: 3,
    });
    const program = new GraphProgram(session, signature, traced.inputs, traced.outputs);
    this.programs.add(program);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs) await program.dispose();
    this.programs.clear();
  }
}

class GraphProgram implements Program {
  private state: Record<string, ort.Tensor> = {};
  /** The buffers that the next run writes the state into; they change places with `state`. */
  private spare: Record<string, ort.Tensor> = {};
  private readonly results: string[];
  private disposed = false;

  constructor(
    private readonly session: ort.InferenceSession,
    private readonly signature: Signature,
    private readonly inputs: string[],
    private readonly outputs: Record<string, number[]>,
  ) {
    for (const [name, { shape, data }] of Object.entries(signature.state ?? {})) {
      this.state[name] = new ort.Tensor('float32', data.slice(), shape);
      this.spare[name] = new ort.Tensor('float32', new Float32Array(data.length), shape);
    }
    this.results = Object.keys(outputs).filter((name) => !Object.hasOwn(this.state, name));
  }

  async run(feeds: Record<string, HostTensor>): Promise<Record<string, HostTensor>> {
    checkFeeds(this.signature, feeds);
    const given: Record<string, ort.Tensor> = {};
    for (const name of this.inputs) {
      const feed = feeds[name];
      given[name] = feed === undefined ? this.state[name]! : new ort.Tensor('float32', feed.data, feed.shape);
    }
    const fetches: Record<string, ort.Tensor> = {};
    for (const [name, shape] of Object.entries(this.outputs)) {
      fetches[OUTPUT_PREFIX + name] =
        this.spare[name] ?? new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape);
    }
    const found = await this.session.run(given, fetches);
    for (const name of Object.keys(this.state)) {
      if (!Object.hasOwn(this.outputs, name)) continue;
      [this.state[name], this.spare[name]] = [this.spare[name]!, this.state[name]!];
    }
    return Object.fromEntries(
      this.results.map((name) => {
        const data = found[OUTPUT_PREFIX + name]!.data as Float32Array;
        return [name, { shape: this.outputs[name]!, data }];
      }),
    );
  }

  async readState(): Promise<Record<string, HostTensor>> {
    return Object.fromEntries(
      Object.entries(this.state).map(([name, tensor]) => [
        name,
        { shape: [...tensor.dims], data: (tensor.data as Float32Array).slice() },
      ]),
    );
  }

  async writeState(state: Record<string, HostTensor>): Promise<void> {
    checkState(this.signature, state);
    for (const [name, { data }] of Object.entries(state)) (this.state[name]!.data as Float32Array).set(data);
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.session.release();
  }
}
