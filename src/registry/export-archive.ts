import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Header } from 'tar';
import { checkWritable, syncFolder, temporaryBeside } from '../atomic.js';
import { asWriteError, HndsrError } from '../errors.js';
import { type DatasetRecord, getDataset } from '../store/datasets.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import { type Lineage, lineageOf } from '../store/lineage.js';
import { tagsOf } from '../store/names.js';
import { objectPath, verifyObject } from '../store/objects.js';
import { signaturesOf } from '../store/signatures.js';
import { openStoreToRead, type Store } from '../store/store.js';
import { allTileScoresOf } from '../store/tile-scores.js';
import { eventsOf } from '../store/version-events.js';
import { artifactsOf, listVersions } from '../store/versions.js';
import { packageVersion } from '../version.js';
import {
  type ArchivedRegistry,
  type ArchivedVersion,
  encodeManifest,
  MANIFEST_ENTRY,
  objectEntry,
} from './archive-manifest.js';

export interface ExportArchiveOptions {
  cwd: string;
  /** Relative to `cwd`. */
  output: string;
  /** Empty: all. */
  versions: readonly VersionName[];
  overwrite: boolean;
}

export interface ExportArchiveResult {
  output: string;
  bytes: number;
  /** Of the archive. */
  sha256: string;
  versions: number[];
}

const BLOCK_BYTES = 512;

/**
 * Writes versions, with their files, cards, metrics, signatures and histories, as one tar file for another machine's
 * `registry import`. The same versions at the same moment make the same bytes.
 * @throws HndsrError VERSION_MISSING, HASH_MISMATCH, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function exportArchive(options: ExportArchiveOptions): Promise<ExportArchiveResult> {
  const { cwd } = options;
  const output = resolve(cwd, options.output);
  if (existsSync(output) && !options.overwrite) {
    throw new HndsrError('OUTPUT_EXISTS', `${options.output} exists already`, {
      hint: 'Choose another name, or add --overwrite.',
    });
  }
  const registry = readRegistry(cwd, options.versions);
  await checkWritable(output);
  const temporary = temporaryBeside(output);
  try {
    const { bytes, sha256 } = await writeArchive(cwd, temporary, registry);
    await rename(temporary, output);
    await syncFolder(dirname(output));
    return { output, bytes, sha256, versions: registry.versions.map(({ version }) => version) };
  } catch (error) {
    throw asWriteError(error, output);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** All of it as it is at one moment. */
function readRegistry(cwd: string, wanted: readonly VersionName[]): ArchivedRegistry {
  const store = openStoreToRead(cwd);
  try {
    return store.database.transaction((): ArchivedRegistry => {
      const numbers = wanted.map((name) => findVersion(store, name).version);
      const chosen = new Set(
        numbers.length === 0 ? listVersions(store).map(({ version }) => version) : numbers,
      );
      if (chosen.size === 0) {
        throw new HndsrError('VERSION_MISSING', 'no version is registered', {
          hint: 'Register one with `hndsr registry register`.',
        });
      }
      return {
        format: 'hndsr-registry-1',
        hndsr: packageVersion(),
        exportedAt: new Date().toISOString(),
        versions: [...chosen].sort((a, b) => a - b).map((version) => archivedVersion(store, version)),
      };
    })();
  } finally {
    store.close();
  }
}

function archivedVersion(store: Store, number: number): ArchivedVersion {
  const { inProduction: _, createdAt: __, actor: ___, ...version } = findVersion(store, number);
  const lineage = lineageOf(store, number)!;
  const dataset = getDataset(store, version.datasetFingerprint);
  return {
    ...version,
    metrics: version.metrics as ArchivedVersion['metrics'],
    artifacts: artifactsOf(store, number).map(({ role, sha256, size }) => ({ role, sha256, size })),
    tags: tagsOf(store, number),
    tiles: allTileScoresOf(store, number),
    dataset: dataset === undefined ? null : archivedDataset(dataset, lineage),
    signatures: signaturesOf(store, number),
    history: asJson(eventsOf(store, number)),
    lineage: asJson(lineage),
  };
}

function archivedDataset(dataset: DatasetRecord, lineage: Lineage): ArchivedVersion['dataset'] {
  return asJson({ ...dataset, sources: lineage.dataset.sources });
}

/** A value as it will be read again. */
function asJson<T>(value: unknown): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

async function writeArchive(
  cwd: string,
  path: string,
  registry: ArchivedRegistry,
): Promise<{ bytes: number; sha256: string }> {
  const file = await open(path, 'wx');
  try {
    const writer = new ArchiveWriter(file);
    const manifest = Buffer.from(encodeManifest(registry));
    await writer.add(MANIFEST_ENTRY, manifest.length, [manifest]);
    const artifacts = registry.versions.flatMap((one) =>
      one.artifacts.map((artifact) => ({ ...one, ...artifact })),
    );
    const written = new Set<string>();
    for (const { version, role, sha256, size } of artifacts) {
      if (written.has(sha256)) continue;
      await verifyObject(cwd, sha256, `the ${role} checkpoint of version ${version}`);
      await writer.add(objectEntry(sha256), size, createReadStream(objectPath(cwd, sha256)));
      written.add(sha256);
    }
    return await writer.end();
  } finally {
    await file.close();
  }
}

/** Entries of a tar file: a header, the content, zeros up to a whole block; two blocks of zeros at the end. */
class ArchiveWriter {
  private readonly hash: Hash = createHash('sha256');
  private bytes = 0;

  constructor(private readonly file: FileHandle) {}

  async add(path: string, size: number, content: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
    const header = new Header({ path, size, mode: 0o444, type: 'File' });
    header.encode();
    await this.write(header.block!);
    for await (const chunk of content) await this.write(chunk);
    await this.write(Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES));
  }

  async end(): Promise<{ bytes: number; sha256: string }> {
    await this.write(Buffer.alloc(2 * BLOCK_BYTES));
    await this.file.sync();
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }

  private async write(chunk: Buffer): Promise<void> {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    await this.file.writeFile(chunk);
  }
}
