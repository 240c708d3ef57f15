import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FolderRemote } from '../../src/pipeline/remote/folder-remote.js';
import { openRemote } from '../../src/pipeline/remote/remote.js';
import { fetch, pull, push } from '../../src/pipeline/remote/sync.js';
import { objectKey } from '../../src/pipeline/remote/transfer.js';
import { objectPath } from '../../src/store/objects.js';
import { Project, temporaryFolder } from './project.js';

/** Stands before a server: passes on, answers with a status, or breaks the connection. Ends with the test. */
async function startProxy(to: string, decide: (url: URL) => 'pass' | 'break' | number): Promise<string> {
  const proxy = createServer((incoming, answer) => {
    const decided = decide(new URL(incoming.url!, to));
    if (decided === 'break') return void incoming.destroy();
    if (decided !== 'pass') return void answer.writeHead(decided).end();
    const { method, headers } = incoming;
    const passed = request(new URL(incoming.url!, to), { method, headers }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const FILES = {
  'pipeline.yaml': `
stages:
  make: {cmd: "echo make >> trace; mkdir -p out/deep; cp in.txt out/a; cp in.txt out/deep/b; echo c > out/c", deps: [in.txt], outs: [out]}
  use: {cmd: "echo use >> trace; cat out/a > used.txt", deps: [out], metrics: [used.txt: {cache: false}]}
`,
  'in.txt': 'content\n',
};

/** A project that has run, and a remote. */
let project: Project;
let remote: string;
beforeEach(async () => {
  project = await Project.create(FILES);
  await project.repro();
  remote = join(await temporaryFolder(), 'remote');
});

/** What a colleague gets from git: all but outputs and caches. */
async function clone(): Promise<Project> {
  const other = await Project.create(FILES);
  await cp(join(project.cwd, 'hndsr.lock'), join(other.cwd, 'hndsr.lock'));
  return other;
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

async function damage(path: string): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, 'damaged');
}

/** The path, in some folder of objects, of the one with these bytes. */
const objectWith = (folder: string, text: string): string =>
  join(folder, objectKey(createHash('sha256').update(text).digest('hex')));

describe('a folder', () => {
  it('takes what the lock names and gives it to another machine, whole', async () => {
    // Two files' bytes, a listing, the metric's bytes are the first file's; and two records.
    const sent = await push({ cwd: project.cwd, remote });
    expect(sent).toMatchObject({ transferred: 5, present: 0 });
    expect(sent.bytes).toBe(filesIn(remote).reduce((sum, path) => sum + statSync(path).size, 0));
    expect(await push({ cwd: project.cwd, remote })).toMatchObject({ transferred: 0, bytes: 0, present: 5 });
    const other = await clone();
    expect(await fetch({ cwd: other.cwd, remote })).toMatchObject({ transferred: 3, present: 0 });
    await expect(stat(join(other.cwd, 'out'))).rejects.toThrow('ENOENT');
    expect((await pull({ cwd: other.cwd, remote })).restored).toEqual(['out', 'used.txt']);
    expect(await other.read('out/deep/b')).toBe('content\n');
    expect(await other.read('out/c')).toBe('c\n');
    expect(await other.stale()).toEqual({});
  });

  it('takes only the stages that are named, and what they depend on', async () => {
    await push({ cwd: project.cwd, remote, targets: ['make'] });
    const other = await clone();
    expect((await pull({ cwd: other.cwd, remote, targets: ['make'] })).restored).toEqual(['out']);
  });

  it('gives earlier runs, too, which are then restored', async () => {
    await project.write('in.txt', 'other\n');
    await project.repro();
    await push({ cwd: project.cwd, remote, runCache: true });
    const other = await clone();
    await fetch({ cwd: other.cwd, remote, runCache: true });
    expect(await other.restored()).toEqual(['make', 'use']);
    expect(await other.read('used.txt')).toBe('content\n');
    await other.write('in.txt', 'other\n');
    expect(await other.restored()).toEqual(['make', 'use']);
    await expect(other.read('trace')).rejects.toThrow('ENOENT');
  });

  it('gets no damaged object, which is taken from its place when it is pushed again', async () => {
    await damage(objectWith(join(project.cwd, '.hndsr'), 'c\n'));
    await expect(push({ cwd: project.cwd, remote })).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    expect(filesIn(remote)).not.toContain(objectWith(remote, 'c\n'));
    if ((await project.read('out/c')) !== 'c\n') await project.repro({ runCache: false });
    await push({ cwd: project.cwd, remote });
    expect(await readFile(objectWith(remote, 'c\n'), 'utf8')).toBe('c\n');
  });

  it('takes from its place an output that the cache lacks', async () => {
    await rm(join(project.cwd, '.hndsr/objects'), { recursive: true });
    await push({ cwd: project.cwd, remote });
    const other = await clone();
    expect((await pull({ cwd: other.cwd, remote })).restored).toEqual(['out', 'used.txt']);
  });

  it('is refused when its bytes are not those of the hash, and says which', async () => {
    await push({ cwd: project.cwd, remote });
    await damage(objectWith(remote, 'content\n'));
    const other = await clone();
    const { code, stderr } = await other.run('pull', '--remote', remote);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error HASH_MISMATCH: the remote .* has other bytes than those with SHA-256 [0-9a-f]{64}: they/,
    );
    await expect(stat(join(other.cwd, 'out'))).rejects.toThrow('ENOENT');
    expect(filesIn(join(other.cwd, '.hndsr')).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('says what it lacks, after all else has come', async () => {
    await push({ cwd: project.cwd, remote });
    await rm(objectWith(remote, 'c\n'));
    const other = await clone();
    await expect(fetch({ cwd: other.cwd, remote })).rejects.toMatchObject({
      code: 'CACHE_INCOMPLETE',
      message: expect.stringContaining(`are not on the remote ${remote}: out`),
    });
    await expect(stat(objectWith(join(other.cwd, '.hndsr'), 'content\n'))).resolves.toBeDefined();
  });
});

it('several stages at once may ask for the same bytes', async () => {
  await project.write(
    'pipeline.yaml',
    `stages: {${[1, 2, 3, 4].map((n) => `s${n}: {cmd: "cp in.txt ${n}; echo >> trace", deps: [in.txt], outs: ['${n}']}`).join(', ')}}`,
  );
  await project.repro();
  await push({ cwd: project.cwd, remote, runCache: true });
  const other = await Project.create({
    'pipeline.yaml': `cache: {remote: ${JSON.stringify(remote)}}\n${await project.read('pipeline.yaml')}`,
    'in.txt': FILES['in.txt'],
  });
  const { code, stderr, stdout } = await other.run('repro', '-j', '4', '--pull');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('4 restored');
});

describe('pull', () => {
  it('overwrites no output of which there is no copy, unless forced', async () => {
    await push({ cwd: project.cwd, remote });
    const other = await clone();
    await other.write('used.txt', 'mine\n');
    await expect(pull({ cwd: other.cwd, remote })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(await other.read('used.txt')).toBe('mine\n');
    await pull({ cwd: other.cwd, remote, force: true });
    expect(await other.read('used.txt')).toBe('content\n');
  });

  it('needs a remote, of pipeline.yaml or of the command line', async () => {
    const { code, stderr } = await project.run('push');
    expect(code).toBe(2);
    expect(stderr).toContain(
      'error REMOTE_NOT_SET: no remote is named\n  hint: Set `cache.remote` in pipeline.yaml',
    );
    await project.write(
      'pipeline.yaml',
      `cache: {remote: ../${remote.split('/').at(-2)}/remote}\n${FILES['pipeline.yaml']}`,
    );
    expect((await project.run('push')).code).toBe(0);
    expect(filesIn(remote)).toHaveLength(5);
  });
});

it('a download that was broken off goes on where it was; a part of something else is thrown away', async () => {
  await push({ cwd: project.cwd, remote });
  const parts = filesIn(join(remote, 'objects'));
  expect(parts.length).toBe(3);
  for (const beginning of ['con', 'x']) {
    const other = await clone();
    const sha256 = createHash('sha256').update('content\n').digest('hex');
    const part = join(other.cwd, '.hndsr/incoming', `${sha256}.part`);
    await mkdir(dirname(part), { recursive: true });
    await writeFile(part, beginning);
    await fetch({ cwd: other.cwd, remote });
    expect(await readFile(objectPath(other.cwd, sha256), 'utf8')).toBe('content\n');
  }
  const file = join(await temporaryFolder(), 'file');
  await writeFile(file, 'con');
  // Only what is missing is read: the bytes that are there stay as they are.
  await writeFile(join(remote, 'key'), 'CONTENT');
  await new FolderRemote(remote).get('key', file);
  expect(await readFile(file, 'utf8')).toBe('conTENT');
});

describe('a bucket', () => {
  const KEYS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };
  let server: S3rver;
  let folder: string;
  let endpoint: string;
  let client: S3Client;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hndsr-s3-'));
    server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: folder });
    endpoint = `http://127.0.0.1:${(await server.run()).port}`;
    Object.assign(process.env, KEYS);
    client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1' });
    await client.send(new CreateBucketCommand({ Bucket: 'cache' }));
  });
  afterAll(async () => {
    client.destroy();
    await server.close();
    await rm(folder, { recursive: true });
    for (const name of Object.keys(KEYS)) delete process.env[name];
  });

  it('takes and gives the same as a folder', async () => {
    const at = { remote: 's3://cache/some/prefix', endpoint };
    expect(await push({ cwd: project.cwd, ...at, runCache: true })).toMatchObject({ transferred: 5 });
    expect(await push({ cwd: project.cwd, ...at })).toMatchObject({ transferred: 0, present: 5 });
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'cache' }));
    expect(Contents!.every(({ Key }) => Key!.startsWith('some/prefix/'))).toBe(true);
    const other = await clone();
    expect((await pull({ cwd: other.cwd, ...at, runCache: true })).restored).toEqual(['out', 'used.txt']);
    expect(await other.stale()).toEqual({});
  });

  it('takes a large object in parts, and gives it back from where it was broken off', async () => {
    const bytes = Buffer.alloc(40_000_000, 'imagery');
    const home = await temporaryFolder();
    await writeFile(join(home, 'large'), bytes);
    const bucket = await openRemote(home, { address: 's3://cache/large', endpoint });
    await bucket.put('key', join(home, 'large'), { state: join(home, 'state'), interrupted: () => false });
    expect(await readdir(home)).toEqual(['large']);
    await writeFile(join(home, 'again'), bytes.subarray(0, 25_000_000));
    expect(await bucket.get('key', join(home, 'again'))).toBe(true);
    expect((await readFile(join(home, 'again'))).equals(bytes)).toBe(true);
    expect(await bucket.get('key', join(home, 'again'))).toBe(true);
    expect((await stat(join(home, 'again'))).size).toBe(bytes.length);
    expect(await bucket.get('none', join(home, 'none'))).toBe(false);
    expect(await bucket.list('')).toEqual(expect.any(Array));
    bucket.close();
  });

  it('gets a large object that was broken off from behind the last part that arrived', async () => {
    const home = await temporaryFolder();
    const [file, state] = [join(home, 'large'), join(home, 'state')];
    await writeFile(file, Buffer.alloc(40_000_000, 'imagery'));
    const parts: string[] = [];
    const proxy = await startProxy(endpoint, (url) => {
      const part = url.searchParams.get('partNumber');
      if (url.searchParams.get('uploadId') === 'forgotten') return 404;
      if (part === '2' && !parts.includes('healed')) return 'break';
      if (part !== null) parts.push(part);
      return 'pass';
    });
    const put = async (interrupted = () => false): Promise<void> => {
      const bucket = await openRemote(home, { address: 's3://cache/broken', endpoint: proxy });
      await bucket.put('key', file, { state, interrupted }).finally(() => bucket.close());
    };
    await expect(put()).rejects.toMatchObject({ code: 'REMOTE_UNREACHABLE' });
    const begun = await readFile(state, 'utf8');
    expect(begun.split('\n')).toHaveLength(3);
    parts.push('healed');
    await put();
    expect(parts).toEqual(['1', 'healed', '2', '3']);
    const bucket = await openRemote(home, { address: 's3://cache/broken', endpoint });
    await bucket.get('key', join(home, 'again'));
    bucket.close();
    expect((await readFile(join(home, 'again'))).equals(await readFile(file))).toBe(true);
    await rm(join(home, 'again'));
    expect(await readdir(home)).toEqual(['large']);
    // So does Ctrl-C, and the next time goes on behind it.
    await expect(put(() => parts.length > 4)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await put();
    expect(parts.splice(4)).toEqual(['1', '2', '3']);
    // One that the service has removed, and one of another file, begin again.
    await writeFile(state, begun.replace(/"UploadId":"[^"]*"/, '"UploadId":"forgotten"'));
    await put();
    await writeFile(state, begun.replace('"size":40000000', '"size":1'));
    await put();
    expect(parts.slice(4)).toEqual(['1', '2', '3', '1', '2', '3']);
  });

  it('that is not there is told', async () => {
    await expect(push({ cwd: project.cwd, remote: 's3://nowhere', endpoint })).rejects.toMatchObject({
      code: 'REMOTE_MISSING',
    });
    const gone = push({ cwd: project.cwd, remote: 's3://cache', endpoint: 'http://127.0.0.1:9' });
    await expect(gone).rejects.toMatchObject({ code: 'REMOTE_UNREACHABLE' });
  });
});
