import { rmSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { ROOT } from './setup.js';

const MODULES = join(ROOT, 'dist');
const BUNDLE = join(MODULES, 'bundle');
const COMMANDS = join(BUNDLE, 'commands');
const IMAGES = join(BUNDLE, 'images');
const IMAGE_THREAD = join(MODULES, 'data', 'image-thread.js');

/** What begins together lies in one file. A module goes to the first of these that needs it. */
const TOGETHER = {
  start: ['cli/main.js', 'cli/context.js'],
  status: ['pipeline/status.js', 'cli/pipeline-flag.js'],
  repro: ['pipeline/executor.js'],
  etl: ['data/etl.js'],
  dataset: ['data/build-dataset.js'],
};

/**
 * Puts the modules of the command line, and of the threads that make tiles, together into the few files of dist/bundle:
 * to find, read and link a module takes Node half a millisecond, and a command has 30 to 100 of them. Packages stay
 * outside. Programs and threads other than that one begin with their modules in dist, as without a bundle.
 */
export async function bundle() {
  rmSync(BUNDLE, { recursive: true, force: true });
  const groups = Object.entries(TOGETHER).map(([name, modules]) => [
    name,
    modules.map((path) => join(MODULES, path)),
  ]);
  await write(join(MODULES, 'cli', 'main.js'), COMMANDS, groups);
  await write(IMAGE_THREAD, IMAGES, [['images', [IMAGE_THREAD]]]);
}

async function write(entry, folder, groups) {
  const build = await rolldown({
    input: { main: entry },
    platform: 'node',
    external: (id) => !/^[./]/.test(id) && !id.startsWith(ROOT),
    // A module that one imports lazily and another at once is in place when the latter is: that is no mistake here.
    checks: { ineffectiveDynamicImport: false },
    plugins: [{ name: 'places', transform: { filter: { code: 'import.meta.url' }, handler: placesKept } }],
  });
  await build.write({
    dir: folder,
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: {
      groups: groups.map(([name, modules], index) => ({
        name,
        test: (id) => modules.includes(id),
        priority: groups.length - index,
      })),
    },
  });
}

/** Modules go on finding what lies beside them where they were before, but for the thread that is bundled. */
function placesKept(code, id) {
  const before = `new URL(${JSON.stringify(relative(COMMANDS, id).split(sep).join('/'))}, import.meta.url).href`;
  return code.replace(/new URL\('([^']+)', import\.meta\.url\)|import\.meta\.url/g, (found, path) =>
    path !== undefined && resolve(dirname(id), path) === IMAGE_THREAD
      ? "new URL('../images/main.js', import.meta.url)"
      : found.replace('import.meta.url', before),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await bundle();
