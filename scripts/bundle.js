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

/**
 * What begins together lies in one file, each module in the first that takes it. Files of `all` take all that their
 * modules need; the others only what no command needs that does without them, so that none loads more than it uses.
 */
const TOGETHER = [
  { name: 'start', modules: ['cli/main.js', 'cli/context.js'], all: true },
  { name: 'status', modules: ['pipeline/status.js', 'cli/commands/status.js'], all: true },
  { name: 'repro', modules: ['pipeline/executor.js'], all: false },
  { name: 'etl', modules: ['data/etl.js'], all: false },
  { name: 'dataset', modules: ['data/build-dataset.js'], all: false },
  { name: 'images', modules: ['data/image-thread.js'], all: true },
];

/**
 * Puts the modules of the command line, and of the threads that make tiles, together into the few files of dist/bundle:
 * to find, read and link a module takes Node half a millisecond, and a command has 30 to 100 of them. Packages stay
 * outside. Programs and threads other than that one begin with their modules in dist, as without a bundle.
 */
export async function bundle() {
  rmSync(BUNDLE, { recursive: true, force: true });
  await write(join(MODULES, 'cli', 'main.js'), COMMANDS);
  await write(IMAGE_THREAD, IMAGES);
}

async function write(entry, folder) {
  const build = await rolldown({
    input: { main: entry },
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
    external: (id) => !/^[./]/.test(id) && !id.startsWith(ROOT),
    // A module that one imports lazily and another at once is in place when the latter is: that is no mistake here.
    checks: { ineffectiveDynamicImport: false },
    plugins: [{ name: 'places', transform: { filter: { code: 'import.meta.url' }, handler: placesKept } }],
  });
  let files;
  const fileOf = (id, graph) => {
    files ??= filesByModule(entry, (other) => graph.getModuleInfo(other));
    return files.get(id) ?? null;
  };
  await build.write({
    dir: folder,
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ debugName: 'together', name: fileOf }],
    },
  });
}

/** For the modules of TOGETHER and what goes with them, the names of their files. */
function filesByModule(entry, infoOf) {
  const needs = (id, found = new Set()) => {
    if (found.has(id) || !infoOf(id)?.code) return found;
    found.add(id);
    for (const next of infoOf(id).importedIds) needs(next, found);
    return found;
  };
  const beginnings = [...beginningsOf(entry, infoOf)].map((id) => needs(id));
  const files = new Map();
  for (const { name, modules, all } of TOGETHER) {
    const wanted = modules.map((path) => join(MODULES, path));
    for (const id of wanted.flatMap((path) => [...needs(path)])) {
      const isAlone = beginnings.every(
        (needed) => !needed.has(id) || wanted.some((path) => needed.has(path)),
      );
      if (!files.has(id) && (all || isAlone)) files.set(id, name);
    }
  }
  return files;
}

/** The modules that something begins with: the first, and those that are imported lazily. */
function beginningsOf(id, infoOf, found = new Set([id]), seen = new Set()) {
  if (seen.has(id) || !infoOf(id)?.code) return found;
  seen.add(id);
  const { importedIds, dynamicallyImportedIds } = infoOf(id);
  for (const next of dynamicallyImportedIds) found.add(next);
  for (const next of [...importedIds, ...dynamicallyImportedIds]) beginningsOf(next, infoOf, found, seen);
  return found;
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
