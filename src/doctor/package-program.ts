/** A process of its own: the version of the package that is named, as one line of JSON on stdout, or why it has none. */
import { createRequire } from 'node:module';
import { answer, inShort } from '../compute/own-process.js';

const LOADERS: Record<string, () => Promise<string>> = {
  'onnxruntime-node': async () => {
    const { env } = await import('onnxruntime-node');
    return env.versions.node ?? env.versions.common;
  },
  '@tensorflow/tfjs': async () => (await import('@tensorflow/tfjs')).version.tfjs,
  'better-sqlite3': async () => {
    const { default: Database } = await import('better-sqlite3');
    const database = new Database(':memory:');
    const { sqlite } = database.prepare('SELECT sqlite_version() AS sqlite').get() as { sqlite: string };
    database.close();
    const { version } = createRequire(import.meta.url)('better-sqlite3/package.json') as { version: string };
    return `${version}, SQLite ${sqlite}`;
  },
  sharp: async () => {
    const { default: sharp } = await import('sharp');
    const pixel = { create: { width: 1, height: 1, channels: 3 as const, background: 'black' } };
    await sharp(pixel).png().toBuffer();
    return `${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
  },
};

try {
  answer({ version: await LOADERS[process.argv[2]!]!() });
} catch (error) {
  answer({ reason: inShort(error) });
}
