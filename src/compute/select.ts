import { EagerEngine } from './eager.js';
import type { Engine } from './engine.js';
import { GraphEngine } from './graph/engine.js';

export interface Selection {
  engine: Engine;
  /** Why this one, in words for a person. */
  reason: string;
}

/**
 * The engine that this machine runs on. TensorFlow with a GPU is taken when it loads and finds one; else the graph
 * engine, which is faster on a CPU than any TensorFlow.js backend (docs/engines.md has the figures).
 */
export async function selectEngine(choice: { threads?: number } = {}): Promise<Selection> {
  const tensorflow = await loadTensorflow();
  if (tensorflow?.gpu === true) {
    return { engine: new EagerEngine('tensorflow'), reason: `${tensorflow.name} loaded and sees a GPU` };
  }
  return {
    engine: new GraphEngine(choice),
    reason:
      tensorflow === undefined
        ? 'no native TensorFlow.js could be loaded; ONNX Runtime on the CPU is the fastest that can'
        : `${tensorflow.name} loaded but sees no GPU; ONNX Runtime is faster on the CPU`,
  };
}

/** The eager engine on the best TensorFlow.js backend there is: native when one loads, else pure JavaScript. */
export async function selectEager(): Promise<Selection> {
  const tensorflow = await loadTensorflow();
  return tensorflow === undefined
    ? { engine: new EagerEngine('cpu'), reason: 'no native TensorFlow.js could be loaded' }
    : { engine: new EagerEngine('tensorflow'), reason: `${tensorflow.name} loaded` };
}

/** Loads the first native TensorFlow.js that is installed and whose library is there; it registers itself. */
async function loadTensorflow(): Promise<{ name: string; gpu: boolean } | undefined> {
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      const loaded = (await import(name)) as { backend?: () => { isUsingGpuDevice?: boolean } };
      return { name, gpu: loaded.backend?.().isUsingGpuDevice === true };
    } catch {
      // Not installed, or installed without the library that its install script fetches.
    }
  }
  return undefined;
}
