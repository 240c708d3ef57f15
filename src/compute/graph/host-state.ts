import * as ort from 'onnxruntime-node';
import type { HostTensor } from '../engine.js';
import type { KeptState } from './engine.js';
import { OUTPUT_PREFIX } from './trace.js';

/** State in the memory of the processor: two buffers for each tensor, which change places at every run. */
export class HostState implements KeptState {
  private readonly current: Record<string, ort.Tensor> = {};
  private readonly spare: Record<string, ort.Tensor> = {};

  /** @param kept the names that a run gives a next value for */
  constructor(
    first: Record<string, HostTensor>,
    private readonly kept: readonly string[],
  ) {
    for (const [name, { shape, data }] of Object.entries(first)) {
      this.current[name] = new ort.Tensor('float32', data.slice(), shape);
      this.spare[name] = new ort.Tensor('float32', new Float32Array(data.length), shape);
    }
  }

  inputs(): Record<string, ort.Tensor> {
    return this.current;
  }

  targets(): Record<string, ort.Tensor> {
    return Object.fromEntries(this.kept.map((name) => [OUTPUT_PREFIX + name, this.spare[name]!]));
  }

  take(): void {
    for (const name of this.kept) {
      [this.current[name], this.spare[name]] = [this.spare[name]!, this.current[name]!];
    }
  }

  async read(): Promise<Record<string, HostTensor>> {
    return Object.fromEntries(
      Object.entries(this.current).map(([name, tensor]) => [
        name,
        { shape: [...tensor.dims], data: (tensor.data as Float32Array).slice() },
      ]),
    );
  }

  write(state: Record<string, HostTensor>): void {
    for (const [name, { data }] of Object.entries(state)) {
      (this.current[name]!.data as Float32Array).set(data);
    }
  }

  async dispose(): Promise<void> {}
}
