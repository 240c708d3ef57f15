import * as ort from 'onnxruntime-node';
import type { HostTensor } from '../engine.js';
import { GraphBuilder } from './builder.js';
import type { KeptState } from './engine.js';
import { OUTPUT_PREFIX } from './trace.js';

/**
 * State in the memory of a GPU: what one run leaves there is what the next one reads, and nothing crosses the bus.
 * ONNX Runtime's own way of reading such a tensor ends the process in Node, so a second model hands it out.
 */
export class GpuState implements KeptState {
  private readonly current: Record<string, ort.Tensor> = {};

  private constructor(
    first: Record<string, HostTensor>,
    private readonly kept: readonly string[],
    private readonly reader: ort.InferenceSession | undefined,
  ) {
    this.write(first);
  }

  static async create(first: Record<string, HostTensor>, kept: readonly string[]): Promise<GpuState> {
    const reader = kept.length === 0 ? undefined : await createReader(first, kept);
    return new GpuState(first, kept, reader);
  }

  inputs(): Record<string, ort.Tensor> {
    return this.current;
  }

  targets(): Record<string, null> {
    return Object.fromEntries(this.kept.map((name) => [OUTPUT_PREFIX + name, null]));
  }

  take(found: ort.InferenceSession.ReturnType): void {
    for (const name of this.kept) this.replace(name, found[OUTPUT_PREFIX + name]!);
  }

  async read(): Promise<Record<string, HostTensor>> {
    const onGpu = Object.entries(this.current).some(([, { location }]) => location !== 'cpu');
    const feeds = Object.fromEntries(this.kept.map((name) => [name, this.current[name]!]));
    const found = onGpu ? await this.reader!.run(feeds) : {};
    return Object.fromEntries(
      Object.entries(this.current).map(([name, tensor]) => {
        const { data } = found[OUTPUT_PREFIX + name] ?? tensor;
        return [name, { shape: [...tensor.dims], data: (data as Float32Array).slice() }];
      }),
    );
  }

  write(state: Record<string, HostTensor>): void {
    for (const [name, { data, shape }] of Object.entries(state)) {
      this.replace(name, new ort.Tensor('float32', data.slice(), shape));
    }
  }

  private replace(name: string, tensor: ort.Tensor): void {
    this.current[name]?.dispose();
    this.current[name] = tensor;
  }

  async dispose(): Promise<void> {
    for (const tensor of Object.values(this.current)) tensor.dispose();
    await this.reader?.release();
  }
}

/** A model that gives each state back. A negation, twice, since an identity would be left out and stay on the GPU. */
function createReader(
  state: Record<string, HostTensor>,
  kept: readonly string[],
): Promise<ort.InferenceSession> {
  const builder = new GraphBuilder();
  const outputs = kept.map((name) => {
    const { shape } = state[name]!;
    const value = builder.node('Neg', [builder.node('Neg', [builder.input(name, shape)])]);
    return { name: OUTPUT_PREFIX + name, value, shape };
  });
  return ort.InferenceSession.create(builder.encode(outputs).bytes, {
    executionProviders: ['webgpu'],
    logSeverityLevel: 4,
  });
}
