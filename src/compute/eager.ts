import * as tf from '@tensorflow/tfjs';
import {
  checkFeeds,
  checkState,
  type Engine,
  type HostTensor,
  type Program,
  type Signature,
  type TensorFn,
} from './engine.js';

/** Runs tensor functions as they are, on a TensorFlow.js backend that is registered already. */
export class EagerEngine implements Engine {
  readonly name = 'tensorflow';
  private readonly programs = new Set<EagerProgram>();

  /** @param backend TensorFlow.js' name of it: `tensorflow` is native, `cpu` pure JavaScript */
  constructor(
    private readonly backend: 'tensorflow' | 'cpu',
    readonly device: string = backend === 'cpu' ? 'javascript' : 'cpu',
  ) {}

  async compile(fn: TensorFn, signature: Signature): Promise<Program> {
    const program = new EagerProgram(this.backend, fn, signature);
    this.programs.add(program);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs) await program.dispose();
    this.programs.clear();
  }
}

function toTensor({ data, shape }: HostTensor): tf.Tensor {
  return tf.tensor(data, shape, 'float32');
}

class EagerProgram implements Program {
  private state: Record<string, tf.Tensor> | undefined;
  private constants: Record<string, tf.Tensor> = {};

  constructor(
    private readonly backend: string,
    private readonly fn: TensorFn,
    private readonly signature: Signature,
  ) {}

  /** Tensors belong to the backend that is active when they are made, so they are made at the first run. */
  private async prepare(): Promise<Record<string, tf.Tensor>> {
    if (!(await tf.setBackend(this.backend)))
      throw new Error(`the TensorFlow.js backend ${this.backend} did not start`);
    if (this.state === undefined) {
      const make = (values: Record<string, HostTensor> = {}): Record<string, tf.Tensor> =>
        Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toTensor(value)]));
      this.constants = make(this.signature.constants);
      this.state = make(this.signature.state);
    }
    return this.state;
  }

  async run(feeds: Record<string, HostTensor>): Promise<Record<string, HostTensor>> {
    checkFeeds(this.signature, feeds);
    const state = await this.prepare();
    const outputs = tf.tidy(() => {
      const given = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)]));
      // A function may return an input itself; the copy has a life of its own.
      const results = this.fn({ ...given, ...state, ...this.constants });
      return Object.fromEntries(Object.entries(results).map(([name, one]) => [name, one.clone()]));
    });
    const results: Record<string, HostTensor> = {};
    for (const [name, output] of Object.entries(outputs)) {
      if (Object.hasOwn(state, name)) {
        state[name]!.dispose();
        state[name] = output;
      } else {
        results[name] = { shape: [...output.shape], data: Float32Array.from(await output.data()) };
        output.dispose();
      }
    }
    return results;
  }

  async readState(): Promise<Record<string, HostTensor>> {
    const state = await this.prepare();
    const copies: Record<string, HostTensor> = {};
    for (const [name, tensor] of Object.entries(state)) {
      copies[name] = { shape: [...tensor.shape], data: Float32Array.from(await tensor.data()) };
    }
    return copies;
  }

  async writeState(values: Record<string, HostTensor>): Promise<void> {
    checkState(this.signature, values);
    const state = await this.prepare();
    for (const [name, value] of Object.entries(values)) {
      state[name]?.dispose();
      state[name] = toTensor(value);
    }
  }

  async dispose(): Promise<void> {
    for (const tensor of [...Object.values(this.state ?? {}), ...Object.values(this.constants)])
      tensor.dispose();
    this.state = undefined;
    this.constants = {};
  }
}
