import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runEtl } from '../../src/data/etl.js';
import { silent } from '../../src/events.js';
import { planOutputs } from '../../src/inference/plan-outputs.js';
import { listUpscaleInputs } from '../../src/inference/upscale-inputs.js';
import { type ImageInput, openInput } from '../../src/inputs/input.js';
import { newProject, picture } from '../data/images.js';

const KEYS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };
let folder: string;
let server: S3rver;
let endpoint: string;
let client: S3Client;
let cwd: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-s3-'));
  server = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory: folder,
    configureBuckets: [{ name: 'imagery', configs: [] }],
  });
  const { port } = await server.run();
  endpoint = `http://127.0.0.1:${port}`;
  Object.assign(process.env, KEYS);
  client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1' });
  for (let index = 0; index < 24; index++) {
    await upload(`scenes/a/tile_${index}.png`, await picture(`tile_${index}`).png().toBuffer());
  }
  await upload('scenes/notes.txt', Buffer.from('about'));
  await upload('scenes/tiles.csv', Buffer.from('path,sensor\na/tile_3.png,landsat\n'));
  await upload('other/tile.png', await picture('other').png().toBuffer());
});
afterAll(async () => {
  client.destroy();
  await server.close();
  await rm(folder, { recursive: true });
  for (const name of Object.keys(KEYS)) delete process.env[name];
});
beforeEach(async () => {
  cwd = await newProject();
});
afterEach(() => rm(cwd, { recursive: true }));

async function upload(key: string, body: Buffer): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: 'imagery', Key: key, Body: body }));
}

const open = (input: string, at = endpoint): Promise<ImageInput> =>
  openInput({ cwd, input, endpoint: at, lowResolution: null, cache: join(cwd, 'cache') });

describe('a bucket', () => {
  it('is an input of upscaling: its images are fetched when their turn comes, its folders are kept', async () => {
    const cache = join(cwd, 'cache');
    const stdin = (async function* () {})();
    const found = await listUpscaleInputs({ cwd, inputs: ['s3://imagery/scenes/'], endpoint, cache, stdin });
    expect(found.images).toHaveLength(24);
    expect(found.images[0]).toMatchObject({ path: 'a/tile_0.png', remote: true });
    await expect(stat(cache)).rejects.toThrow(/ENOENT/);
    await found.fetch(found.images[0]!);
    const expected = await picture('tile_0').png().toBuffer();
    expect((await readFile(found.images[0]!.absolute)).equals(expected)).toBe(true);
    const options = { isFile: false, scale: '4', model: '1', output: join(cwd, 'out') };
    expect(planOutputs(found.images, options)[0]!.output).toBe(join(cwd, 'out', 'a', 'tile_0.png'));
  });

  it('is listed below its prefix, with what tiles.csv says', async () => {
    const { images, ignored } = await open('s3://imagery/scenes/');
    expect(images).toHaveLength(24);
    expect(ignored).toBe(1);
    expect(images.map(({ path }) => path)).toEqual(images.map(({ path }) => path).toSorted());
    expect(images.find(({ path }) => path === 'a/tile_3.png')!.fields.sensor).toBe('landsat');
  });

  it('gives the bytes that are stored, once', async () => {
    const input = await open('s3://imagery/other/');
    const [image] = input.images;
    await input.fetch(image!);
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'imagery', Key: 'other/tile.png' }));
    expect(await readFile(image!.absolute)).toEqual(Buffer.from(await Body!.transformToByteArray()));
    const names = await readdir(join(cwd, 'cache'), { recursive: true });
    expect(names.filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('becomes a dataset, and is not downloaded again', async () => {
    const options = {
      cwd,
      input: 's3://imagery/scenes/',
      endpoint,
      threads: 0,
      overrides: ['data.split.method=hash', 'data.split.validation=0.3', 'data.split.test=0.3'],
    };
    const first = await runEtl(options, silent);
    expect(first.images).toEqual({ total: 24, read: 24 });
    expect((await runEtl(options, silent)).images.read).toBe(0);
  });

  it('is named by the rows of a list too, and what is not there is refused', async () => {
    const list = join(cwd, 'list.csv');
    await writeFile(list, 'path,split\ns3://imagery/other/tile.png,test\ns3://imagery/nothing.png,train\n');
    const { images, rejects } = await open(list);
    expect(images.map(({ fields }) => fields.split)).toEqual(['test']);
    expect(rejects).toMatchObject([{ path: 's3://imagery/nothing.png', reason: 'unreadable' }]);
  });

  it('whose keys lead elsewhere is kept inside the cache', async () => {
    await upload('hostile/..%2f..%2fescape.png', await picture('x').png().toBuffer());
    const { images } = await open('s3://imagery/hostile/');
    for (const { absolute } of images) expect(absolute.startsWith(join(cwd, 'cache'))).toBe(true);
  });
});

describe('what goes wrong says so, without a secret', () => {
  it.each([
    ['a bucket that is not there', 's3://nowhere/x', 'INPUT_MISSING', /s3:\/\/nowhere\/x was not found/],
    ['an address that is none', 's3://', 'INPUT_INVALID', /form s3:\/\/bucket\/prefix/],
  ])('%s', async (_, input, code, message) => {
    await expect(open(input)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('a key that is refused', async () => {
    const strict = createServer((_, response) => {
      response.writeHead(403, { 'content-type': 'application/xml' });
      response.end(
        '<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><StringToSign>S3RVER</StringToSign></Error>',
      );
    });
    await new Promise<void>((resolve) => strict.listen(0, '127.0.0.1', resolve));
    const { port } = strict.address() as { port: number };
    try {
      const error = await open('s3://imagery/scenes/', `http://127.0.0.1:${port}`).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'INPUT_DENIED', hint: expect.stringContaining('AWS_PROFILE') });
      expect(`${error.message} ${error.hint}`).not.toContain('S3RVER');
    } finally {
      await new Promise((resolve) => strict.close(resolve));
    }
  });

  it('a server that does not answer', async () => {
    const error = await open('s3://imagery/scenes/', 'http://127.0.0.1:1').catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'INPUT_UNREACHABLE' });
  });
});

describe('a download that breaks off', () => {
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
  const etag = createHash('md5').update(body).digest('hex');
  let flaky: Server;
  let ranges: (string | undefined)[];
  let served: Buffer;
  beforeEach(async () => {
    ranges = [];
    served = body;
    flaky = createServer((request, response) => {
      const url = new URL(request.url!, 'http://x');
      if (url.searchParams.has('list-type')) {
        response.setHeader('content-type', 'application/xml');
        response.end(
          `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>big.png</Key><Size>${body.length}</Size><ETag>"${etag}"</ETag></Contents></ListBucketResult>`,
        );
        return;
      }
      const { range } = request.headers;
      ranges.push(range);
      const from = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
      response.writeHead(range === undefined ? 200 : 206, { 'content-length': body.length - from });
      if (ranges.length > 1) response.end(served.subarray(from));
      else response.write(served.subarray(0, 100_000), () => setTimeout(() => request.socket.destroy(), 50));
    });
    await new Promise<void>((resolve) => flaky.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => flaky.close(resolve)));

  const at = (): string => `http://127.0.0.1:${(flaky.address() as { port: number }).port}`;

  it('goes on where it was', async () => {
    const input = await open('s3://bucket/', at());
    await input.fetch(input.images[0]!);
    expect(await readFile(input.images[0]!.absolute)).toEqual(body);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it('and arrives as something else is refused, and not kept', async () => {
    served = Buffer.from(body).fill(0, 200_000, 200_010);
    const input = await open('s3://bucket/', at());
    await expect(input.fetch(input.images[0]!)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(readFile(input.images[0]!.absolute)).rejects.toThrow();
  });
});
