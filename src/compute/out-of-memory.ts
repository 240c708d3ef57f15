/**
 * What ONNX Runtime, its CUDA and WebGPU providers, TensorFlow, V8, Node, libvips, zlib and the C++ library say when
 * memory is short.
 */
const OUT_OF_MEMORY = [
  /out of memory/i,
  /failed to allocate/i,
  /bad[ _]?alloc/i,
  /bad allocation/i,
  /(array buffer|memory) allocation failed/i,
  /(cannot|could not) allocate memory/i,
  /(not enough|insufficient) memory/i,
  // More numbers than any array of V8 can have: it does not come to asking for the bytes.
  /invalid typed array length: \d{10,}/i,
  /OOM when allocating/,
  /CU(DA|BLAS|DNN)\w*(OUT_OF_MEMORY|ALLOC_FAILED)/i,
  /device (was |is )?lost/i,
];

const LONGEST_COMPLAINT = 120;

/**
 * What an engine that gave up for want of memory, of the host or of the device, said of it; undefined for any other
 * error. ONNX Runtime puts source files and signatures before it.
 */
export function outOfMemory(error: unknown): string | undefined {
  const message = error instanceof Error ? error.message : String(error);
  const places = OUT_OF_MEMORY.map((pattern) => message.search(pattern)).filter((place) => place >= 0);
  if (places.length === 0) return undefined;
  return message
    .slice(Math.min(...places))
    .split('\n')[0]!
    .trim()
    .slice(0, LONGEST_COMPLAINT);
}
