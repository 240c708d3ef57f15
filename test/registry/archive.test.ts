import { createHash, generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeManifest } from '../../src/registry/archive-manifest.js';
import { exportArchive } from '../../src/registry/export-archive.js';
import { importArchive } from '../../src/registry/import-archive.js';
import { promote } from '../../src/registry/promote.js';
import { sign, verifySignatures } from '../../src/registry/sign.js';
import { verify, verifyAll } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { listObjects } from '../../src/store/collect.js';
import { addTag } from '../../src/store/names.js';
import { openStore } from '../../src/store/store.js';
import { tileScoresOf } from '../../src/store/tile-scores.js';
import { hndsr, temporaryFiles } from '../cli/tiny-project.js';
import { addVersion, errorOf, makeProject, paramsOf, promotion } from './project.js';

let here: string;
let there: string;
beforeEach(() => {
  here = makeProject();
  there = makeProject();
});
afterEach(() => {
  for (const folder of [here, there]) rmSync(folder, { recursive: true, force: true });
});

const archive = (): string => join(there, 'registry.tar');
const write = (versions: number[] = []) =>
  exportArchive({ cwd: here, output: archive(), versions, overwrite: true });
const read = () =>
  importArchive({ cwd: there, archive: archive(), actor: 'importer', params: paramsOf(there) });

describe('an exported registry', () => {
  it('brings versions with their files, card, metrics, tags, signatures and history to another machine', async () => {
    const [first, second] = [await addVersion(here, { psnr: 31 }), await addVersion(here, { psnr: 33 })];
    await promote(promotion(here, second, 'production'));
    const keys = generateKeyPairSync('ed25519');
    const key = join(here, 'key.pem');
    writeFileSync(key, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await sign({ cwd: here, version: second, actor: 'Ada', key });
    const store = openStore(here);
    addTag(store, second, 'winter');
    const tiles = tileScoresOf(store, second, 'psnr');
    store.close();
    // Numbers of their own: one is there already.
    const own = await addVersion(there);
    const exported = await hndsr(here, 'registry', 'export', archive());
    expect(exported.stdout).toMatch(/registry\.tar: versions 1, 2, \d+ bytes, SHA-256 [0-9a-f]{64}$/);
    const imported = await hndsr(there, 'registry', 'import', 'registry.tar', '--actor', 'importer');
    expect(imported.stdout, imported.stderr).toBe('version 1 is version 2 here\nversion 2 is version 3 here');
    const [a, b] = [show(here, second), show(there, 3)];
    for (const key of [
      'metrics',
      'datasetFingerprint',
      'scale',
      'codeVersion',
      'gitCommit',
      'signature',
      'tags',
    ] as const) {
      expect(b[key]).toEqual(a[key]);
    }
    const files = ({ artifacts }: typeof a) =>
      artifacts.map(({ role, sha256, size }) => ({ role, sha256, size }));
    expect(files(b)).toEqual(files(a));
    await verify(there, 3);
    await verifyAll(there);
    expect(verifySignatures(there, 3)).toMatchObject([{ valid: true, actor: 'Ada' }]);
    const opened = openStore(there);
    expect(tileScoresOf(opened, 3, 'psnr')).toEqual(tiles);
    opened.close();
    expect(b.history).toMatchObject([{ kind: 'registered', actor: 'importer', toStage: 'dev' }]);
    expect(b.history[0]!.reason).toBe(
      'imported from registry.tar, where it was version 2 in stage production',
    );
    expect(b.imported).toMatchObject({ originalVersion: second, history: a.history as object[] });
    expect(list(there).map(({ version }) => version)).toEqual([3, 2, own]);
    expect((await hndsr(there, 'registry', 'show', '3')).stdout).toContain(
      'imported: version 2 of another registry',
    );
    expect(first).toBe(1);
  }, 240_000);

  it('is the same for the same versions, and may hold some of them only', async () => {
    const [first, second] = [await addVersion(here), await addVersion(here)];
    const [one, two] = [await write([second]), await write([second])];
    expect(one.versions).toEqual([second]);
    expect(one.bytes).toBe(two.bytes);
    expect(await read()).toEqual([{ original: second, version: 1 }]);
    expect((await write([first])).versions).toEqual([first]);
    expect(await read()).toEqual([{ original: first, version: 2 }]);
  });

  it('is refused whole where a version of it is there already, which is named', async () => {
    await addVersion(here);
    await write();
    await read();
    await addVersion(here);
    await write();
    const error = await errorOf(read());
    expect([error.code, error.message]).toEqual([
      'VERSION_DUPLICATE',
      'version 1 of the archive is here already, as version 1; nothing was imported',
    ]);
    expect(list(there)).toHaveLength(1);
  });

  it('is not written from damaged files, nor over another without being told', async () => {
    const number = await addVersion(here);
    await write();
    const { code, stderr } = await hndsr(here, 'registry', 'export', archive());
    expect([code, stderr]).toEqual([1, expect.stringContaining('error OUTPUT_EXISTS')]);
    const before = readFileSync(archive());
    const { sha256 } = show(here, number).artifacts[1]!;
    rmSync(join(here, '.hndsr', 'objects', sha256.slice(0, 2), sha256.slice(2)));
    expect((await errorOf(write())).code).toBe('HASH_MISMATCH');
    expect(readFileSync(archive())).toEqual(before);
    expect(temporaryFiles(there)).toEqual([]);
  });
});

interface Entry {
  name: string;
  content: Uint8Array;
  type?: 'File' | 'SymbolicLink' | 'Directory';
  linkpath?: string;
}

/** A tar file as a hostile writer would make it. */
function tarOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, content, type = 'File', linkpath }) => {
    const size = content.length;
    const header = new Header({
      path: name,
      size,
      mode: 0o644,
      type,
      ...(linkpath === undefined ? {} : { linkpath }),
    });
    header.encode();
    return [header.block!, content, Buffer.alloc((512 - (size % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** The entries of the archive that was written. */
function entriesOf(bytes: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; bytes[at] !== 0; ) {
    const header = new Header(bytes, at);
    const size = header.size!;
    entries.push({ name: header.path!, content: bytes.subarray(at + 512, at + 512 + size) });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return entries;
}

/** What is changed of a manifest. */
interface Loose {
  versions: { artifacts: { size: number; sha256: string }[]; metrics: object }[];
}

describe('a hostile archive', () => {
  const edit = (change: (entries: Entry[]) => Entry[] | Buffer): void => {
    const changed = change(entriesOf(readFileSync(archive())));
    writeFileSync(archive(), Buffer.isBuffer(changed) ? changed : tarOf(changed));
  };
  const withManifest = (entries: Entry[], change: (registry: Loose) => void): Entry[] => {
    const { registry } = JSON.parse(Buffer.from(entries[0]!.content).toString());
    change(registry);
    return [{ name: 'manifest.json', content: Buffer.from(encodeManifest(registry)) }, ...entries.slice(1)];
  };
  const flip = (content: Uint8Array): Uint8Array =>
    content.map((byte, index) => (index === 9 ? byte ^ 1 : byte));

  const CASES: [string, (entries: Entry[]) => Entry[] | Buffer, string][] = [
    [
      'a path that leads out',
      ([first, ...rest]) => [first!, { name: '../../escaped', content: Buffer.from('x') }, ...rest],
      '../../escaped is not in the manifest',
    ],
    [
      'an absolute path',
      (all) => [...all, { name: '/tmp/escaped', content: Buffer.from('x') }],
      'is not in the manifest',
    ],
    [
      'a link',
      ([first, second, ...rest]) => [
        first!,
        { ...second!, content: Buffer.alloc(0), type: 'SymbolicLink', linkpath: '/etc/passwd' },
        ...rest,
      ],
      'is no plain file but SymbolicLink',
    ],
    [
      'a folder',
      (all) => [...all, { name: 'objects', content: Buffer.alloc(0), type: 'Directory' }],
      'is no plain file but Directory',
    ],
    [
      'changed bytes',
      ([first, second, ...rest]) => [first!, { ...second!, content: flip(second!.content) }, ...rest],
      'has another SHA-256',
    ],
    ['a file twice', (all) => [...all, all[1]!], 'is not in the manifest, or comes twice'],
    [
      'a file that is larger than stated',
      ([first, second, ...rest]) => [
        first!,
        { ...second!, content: Buffer.concat([second!.content, Buffer.alloc(10)]) },
        ...rest,
      ],
      /has \d+ bytes, not \d+/.source,
    ],
    ['a file too few', (all) => all.slice(0, -1), 'is missing, or was cut off'],
    ['no manifest first', ([first, ...rest]) => [...rest, first!], 'it begins otherwise'],
    [
      'a manifest that was changed',
      ([first, ...rest]) => [
        {
          ...first!,
          content: Buffer.from(Buffer.from(first!.content).toString().replace('"model":31', '"model":41')),
        },
        ...rest,
      ],
      'its manifest has not the hash that it states',
    ],
    [
      'a manifest that promises more than the archive holds',
      (all) =>
        withManifest(all, ({ versions }) => {
          versions[0]!.artifacts[0]!.size = 2 ** 50;
        }),
      'it says that it holds 1125899906\\d+ bytes',
    ],
    [
      'a hash that is a path',
      (all) =>
        withManifest(all, ({ versions }) => {
          versions[0]!.artifacts[0]!.sha256 = '../../escaped';
        }),
      '`versions.0.artifacts.0.sha256`',
    ],
    [
      'metrics that are none',
      (all) =>
        withManifest(all, ({ versions }) => {
          versions[0]!.metrics = { psnr: 'high' };
        }),
      '`versions.0.metrics.psnr`',
    ],
    [
      'a manifest that is no JSON',
      ([first, ...rest]) => [{ ...first!, content: Buffer.from('mmm') }, ...rest],
      'its manifest is not JSON',
    ],
    [
      'half of it',
      () => readFileSync(archive()).subarray(0, statSync(archive()).size / 2),
      'is not an archive of a registry',
    ],
    ['nothing in it', () => Buffer.alloc(0), 'Unrecognized archive format'],
    ['compressed bytes', () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), 'it begins otherwise'],
  ];

  it.each(CASES)('with %s is refused, and leaves nothing behind', async (_name, change, message) => {
    await addVersion(here);
    await write();
    edit(change);
    const before = readdirSync(there).sort();
    const error = await errorOf(read());
    expect(['INPUT_INVALID', 'HASH_MISMATCH']).toContain(error.code);
    expect(error.message).toMatch(new RegExp(message.replaceAll('../', '\\.\\./')));
    expect([list(there), listObjects(there)]).toEqual([[], []]);
    expect(readdirSync(there).sort()).toEqual([...new Set([...before, '.hndsr'])].sort());
    expect(readdirSync(join(there, '.hndsr')).filter((name) => name.startsWith('import'))).toEqual([]);
  });

  it('of any changed byte is refused, or means the same', async () => {
    await addVersion(here);
    await write();
    const whole = readFileSync(archive());
    const digest = (cwd: string) =>
      createHash('sha256')
        .update(JSON.stringify(show(cwd, 1).metrics))
        .digest('hex');
    for (let at = 3; at < whole.length; at += Math.ceil(whole.length / 60)) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x55;
      writeFileSync(archive(), bytes);
      const outcome = await read().then(
        () => 'imported',
        (error: { code?: string }) => error.code,
      );
      expect(['INPUT_INVALID', 'HASH_MISMATCH', 'imported']).toContain(outcome);
      if (outcome !== 'imported') continue;
      expect(digest(there)).toBe(digest(here));
      await verify(there, 1);
      rmSync(join(there, '.hndsr'), { recursive: true });
    }
  });
});
