/** What ONNX Runtime, its CUDA and WebGPU providers, TensorFlow, Node and the C++ library say when memory is short. */
const OUT_OF_MEMORY = [
  /out of memory/i,
  /failed to allocate/i,
  /bad[ _]?alloc/i,
  /bad allocation/i,
  /(array buffer|memory) allocation failed/i,
  /cannot allocate memory/i,
  /OOM when allocating/,
  /CU(DA|BLAS|DNN)\w*(OUT_OF_MEMORY|ALLOC_FAILED)/i,
  /device (was |is )?lost/i,
];

/** Whether an engine gave up for want of memory, of the host or of the device. */
export function isOutOfMemory(error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error);
  return OUT_OF_MEMORY.some((pattern) => pattern.test(message));
}

/** The largest divisor of `batch` that is at most half of `microBatch`; undefined below one window. */
export function smallerMicroBatch(batch: number, microBatch: number): number | undefined {
  for (let size = Math.floor(microBatch / 2); size >= 1; size--) if (batch % size === 0) return size;
  return undefined;
}
