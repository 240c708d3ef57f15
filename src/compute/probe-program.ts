/**
 * A process of its own: known work on the device that is named, one line of JSON on stdout, `milliseconds` or
 * `reason`.
 */
import * as tf from '@tensorflow/tfjs';
import { env } from 'onnxruntime-node';
import { type GraphDevice, GraphEngine } from './graph/engine.js';

const [CHANNELS, GRID, BATCH] = [32, 32, 4];
const RUNS = 3;

async function work(device: GraphDevice): Promise<{ milliseconds: number } | { reason: string }> {
  const engine = new GraphEngine({ device });
  const shape = [BATCH, GRID, GRID, CHANNELS];
  // Each point sums a 3x3 neighbourhood of ones over all channels: 9 x CHANNELS inside, less at the border.
  const program = await engine.compile(
    ({ x, w }) => ({ y: tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same') }),
    { inputs: { x: shape, w: [3, 3, CHANNELS, CHANNELS] } },
  );
  const ones = (lengths: number[]) => ({
    shape: lengths,
    data: new Float32Array(lengths.reduce((product, length) => product * length, 1)).fill(1),
  });
  const feeds = { x: ones(shape), w: ones([3, 3, CHANNELS, CHANNELS]) };
  let milliseconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now();
    const { y } = await program.run(feeds);
    milliseconds = Math.min(milliseconds, performance.now() - began);
    const wrong = y!.data.findIndex((value, at) => Math.abs(value - expected(at)) > 1e-3 * expected(at));
    if (wrong >= 0) return { reason: `it computes ${y!.data[wrong]} where ${expected(wrong)} is right` };
  }
  await engine.dispose();
  return { milliseconds };
}

function expected(at: number): number {
  const point = Math.floor(at / CHANNELS) % (GRID * GRID);
  const reach = (place: number): number => (place === 0 || place === GRID - 1 ? 2 : 3);
  return reach(point % GRID) * reach(Math.floor(point / GRID)) * CHANNELS;
}

const version = env.versions.node ?? env.versions.common;
const say = (value: object): void => void process.stdout.write(`${JSON.stringify({ ...value, version })}\n`);

try {
  say(await work(process.argv[2] as GraphDevice));
} catch (error) {
  say({ reason: reasonOf(error) });
}

/** ONNX Runtime's messages begin with a path of its own sources. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const short = /Failed to get a WebGPU adapter: [^\n]*|Failed to load shared library[^\n]*/.exec(
    message,
  )?.[0];
  return (short ?? message.split('\n')[0]!).trim().replace(/\.$/, '');
}
