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
import type { GraphTarget } from './builder.js';
import { channelBlock } from './channel-block.js';
import { GpuState } from './gpu-state.js';
import { HostState } from './host-state.js';
import { OUTPUT_PREFIX, type Trace, trace } from './trace.js';

export type GraphDevice = 'cpu' | 'webgpu' | 'cuda';

export interface GraphOptions {
  /** ONNX Runtime's execution provider; what it cannot do is done on the CPU. */
  device?: GraphDevice;
  /** Threads within one operator; 0 lets ONNX Runtime take the physical cores. */
  threads?: number;
}

/** What the engine keeps between runs, wherever it lies. */
export interface KeptState {
  /** The tensors that go into the next run, by the names of the model's inputs. */
  inputs(): Record<string, ort.Tensor>;
  /** Where the next run is to put the new state, by the names of the model's outputs; null: it says itself. */
  targets(): Record<string, ort.Tensor | null>;
  /** Takes the new state out of what a run gave. */
  take(found: ort.InferenceSession.ReturnType): void;
  read(): Promise<Record<string, HostTensor>>;
  write(state: Record<string, HostTensor>): void;
  dispose(): Promise<void>;
}

/** Traces a tensor function once to an ONNX model and runs it in ONNX Runtime. */
export class GraphEngine implements Engine {
  readonly name = 'onnx';
  readonly device: GraphDevice;
  /** How many functions were traced: one for each program, none for a run. */
  traces = 0;
  private readonly programs = new Set<GraphProgram>();

  constructor(private readonly options: GraphOptions = {}) {
    this.device = options.device ?? 'cpu';
  }

  async compile(fn: TensorFn, signature: Signature): Promise<Program> {
    this.traces++;
    const traced = trace(fn, signature, await this.target());
    const kept = keptOutputs(traced, signature);
    const onGpu = this.device === 'webgpu';
    const session = await ort.InferenceSession.create(traced.model, {
      executionProviders: [this.device],
      graphOptimizationLevel: 'all',
      intraOpNumThreads: this.options.threads ?? 0,
      // What goes wrong is thrown; warnings would tell of optimiser passes.
      logSeverityLevel: 4,
      // Else the threads of a program that has just run keep a core busy, waiting, while the next program runs.
      extra: { session: { force_spinning_stop: '1' } },
      ...(onGpu ? { preferredOutputLocation: locations(traced, kept) } : {}),
    });
    const state = signature.state ?? {};
    const keptState = onGpu ? await GpuState.create(state, kept) : new HostState(state, kept);
    const program = new GraphProgram(session, signature, traced, kept, keptState);
    this.programs.add(program);
    return program;
  }

  private async target(): Promise<GraphTarget> {
    if (this.device === 'cpu') return { channelBlock: await channelBlock() };
    return { forWebgpu: this.device === 'webgpu' };
  }

  async dispose(): Promise<void> {
    for (const program of this.programs) await program.dispose();
    this.programs.clear();
  }
}

/** The outputs that are the next value of a state. */
function keptOutputs({ outputs }: Trace, { state = {} }: Signature): string[] {
  return Object.keys(outputs).filter((name) => Object.hasOwn(state, name));
}

function locations({ outputs }: Trace, kept: readonly string[]): Record<string, 'cpu' | 'gpu-buffer'> {
  return Object.fromEntries(
    Object.keys(outputs).map((name) => [OUTPUT_PREFIX + name, kept.includes(name) ? 'gpu-buffer' : 'cpu']),
  );
}

class GraphProgram implements Program {
  private readonly results: string[];
  private disposed = false;

  constructor(
    private readonly session: ort.InferenceSession,
    private readonly signature: Signature,
    private readonly traced: Trace,
    kept: readonly string[],
    private readonly state: KeptState,
  ) {
    this.results = Object.keys(traced.outputs).filter((name) => !kept.includes(name));
  }

  async run(feeds: Record<string, HostTensor>): Promise<Record<string, HostTensor>> {
    checkFeeds(this.signature, feeds);
    const { inputs, outputs } = this.traced;
    const state = this.state.inputs();
    const given: Record<string, ort.Tensor> = {};
    for (const name of inputs) {
      const feed = feeds[name];
      given[name] = feed === undefined ? state[name]! : new ort.Tensor('float32', feed.data, feed.shape);
    }
    const fetches: Record<string, ort.Tensor | null> = this.state.targets();
    for (const name of this.results) {
      const shape = outputs[name]!;
      fetches[OUTPUT_PREFIX + name] = new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape);
    }
    const found = await this.session.run(given, fetches);
    this.state.take(found);
    return Object.fromEntries(
      this.results.map((name) => {
        const data = found[OUTPUT_PREFIX + name]!.data as Float32Array;
        return [name, { shape: outputs[name]!, data }];
      }),
    );
  }

  readState(): Promise<Record<string, HostTensor>> {
    return this.state.read();
  }

  async writeState(state: Record<string, HostTensor>): Promise<void> {
    checkState(this.signature, state);
    this.state.write(state);
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.state.dispose();
    await this.session.release();
  }
}
