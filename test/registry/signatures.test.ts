import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { storePath } from '../../src/config/project.js';
import { encodePng } from '../../src/raster/image.js';
import { generateKey, trustKey } from '../../src/registry/keys.js';
import { register } from '../../src/registry/register.js';
import { sign } from '../../src/registry/sign.js';
import { show } from '../../src/registry/versions.js';
import { canonicalJson } from '../../src/store/signatures.js';
import { trustedKeys } from '../../src/store/trusted-keys.js';
import { PROGRAM, type Result } from '../cli/tiny-project.js';
import { makeProject, registration, setRegistry, writeModel } from './project.js';
import { addUsableVersion } from './usable-model.js';

let cwd: string;
let home: string;
beforeEach(() => {
  cwd = makeProject();
  home = join(cwd, 'home');
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

/** As a user whose configuration is empty. */
async function hndsr(...words: string[]): Promise<Result> {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [PROGRAM, '-C', cwd, ...words], {
    reject: false,
    env: { CI: 'true', XDG_CONFIG_HOME: home },
  });
  expect(stdout + stderr).not.toContain('PRIVATE KEY');
  return { code: exitCode, stdout, stderr };
}

const done = async (...words: string[]): Promise<string> => {
  const { code, stdout, stderr } = await hndsr(...words);
  expect(code, stderr).toBe(0);
  return stdout;
};

const refused = async (...words: string[]): Promise<string> => {
  const { code, stderr } = await hndsr(...words);
  return `${code} ${stderr}`;
};

const signed = (key = privateKey()) => sign({ cwd, version: 1, actor: 'Ada', key });

const privateKey = (): string => join(home, 'hndsr', 'signing-key.pem');

function requireSignatures(): void {
  const path = join(cwd, 'params.yaml');
  const params = parseDocument(readFileSync(path, 'utf8'));
  params.setIn(['registry', 'require_signature'], true);
  writeFileSync(path, params.toString());
}

async function addVersion(): Promise<number> {
  writeModel(cwd);
  return (await register(registration(cwd))).version.version;
}

describe('registry keygen', () => {
  it('makes a key outside the project that its owner alone can read, and never another in its place', async () => {
    const text = await done('registry', 'keygen');
    expect(text).toMatch(/^key [0-9a-f]{64}\n/);
    expect(statSync(privateKey()).mode & 0o777).toBe(0o600);
    expect(text).not.toContain(readFileSync(privateKey(), 'utf8').split('\n')[1]);
    expect(readFileSync(`${privateKey()}.pub`, 'utf8')).toContain('BEGIN PUBLIC KEY');
    const before = readFileSync(privateKey(), 'utf8');
    expect(await refused('registry', 'keygen')).toMatch(/^1 error OUTPUT_EXISTS: there is a key at /);
    expect(readFileSync(privateKey(), 'utf8')).toBe(before);
  });
});

describe('registry sign, trust and verify', () => {
  it('say who signed, and whether the project trusts that key', async () => {
    await addVersion();
    const { id } = JSON.parse(await done('registry', 'keygen', '--json'));
    expect(await done('registry', 'verify', '1')).toContain('not signed');
    expect(await done('registry', 'sign', '1')).toBe(`version 1 is signed by key ${id}`);
    expect(show(cwd, 1).history.at(-1)).toMatchObject({ kind: 'signed', reason: `by key ${id}` });
    expect(await done('registry', 'verify', '1')).toMatch(/by a key that is not trusted here: [0-9a-f]{64}$/);
    await done('registry', 'trust', `${privateKey()}.pub`, '--name', 'Ada');
    expect(await done('registry', 'trust')).toContain(`Ada   ${id}`);
    expect(await done('registry', 'verify', '1')).toMatch(/^signed \S+ by Ada: /m);
    expect(await done('registry', 'untrust', id.slice(0, 8))).toContain('is no longer trusted');
    expect(await done('registry', 'trust')).toBe('no key is trusted');
  }, 240_000);

  it('notice a change of anything that was signed, in the store or in a file', async () => {
    await addVersion();
    await generateKey(privateKey());
    await signed();
    const database = new Database(storePath(cwd));
    const change = database.prepare("UPDATE versions SET metrics = json_set(metrics, '$.psnr.model', 40)");
    change.run();
    database.close();
    expect(await refused('registry', 'verify', '1')).toMatch(
      /^1 error SIGNATURE_INVALID: the signature of version 1 by key [0-9a-f]{64} does not fit/,
    );
  });

  it('refuse a key that others can read, one that is none, and a private key as a trusted one', async () => {
    await addVersion();
    expect(await refused('registry', 'sign', '1')).toMatch(
      /^1 error INPUT_MISSING: .*\n.*hndsr registry keygen/,
    );
    await generateKey(privateKey());
    chmodSync(privateKey(), 0o644);
    expect(await refused('registry', 'sign', '1')).toContain('can be read by others');
    chmodSync(privateKey(), 0o600);
    expect(await refused('registry', 'trust', privateKey())).toContain('holds a private key');
    writeFileSync(join(cwd, 'none.pem'), 'secret words', { mode: 0o600 });
    const wrong = await refused('registry', 'sign', '1', '--key', 'none.pem');
    expect(wrong).toContain('error KEY_INVALID');
    expect(wrong).not.toContain('secret words');
    expect(await refused('registry', 'untrust', 'Ada')).toContain('Ada is no trusted key');
  });
});

describe('registry.require_signature', () => {
  it('refuses to load a version that is unsigned, signed by an unknown key, or changed since', async () => {
    await addUsableVersion(cwd);
    await generateKey(privateKey());
    requireSignatures();
    const image = { width: 8, height: 8, bands: 3, data: new Uint8Array(192).fill(100) };
    writeFileSync(join(cwd, 'scene.png'), await encodePng(image));
    const upscale = [
      'upscale',
      'scene.png',
      '-o',
      'out.png',
      '--model',
      '1',
      '--strength',
      '0',
      '--device',
      'cpu',
      '-S',
      'upscale.overlap=4',
    ];
    const unsigned =
      'error SIGNATURE_REQUIRED: version 1 is not signed, and registry.require_signature is true';
    const refusal = await refused(...upscale);
    expect(refusal.startsWith('3 ')).toBe(true);
    expect(refusal).toContain(unsigned);
    expect(await refused('export', '--model', '1', '-o', 'onnx')).toContain(unsigned);
    expect(await refused('export', '--checkpoints', '-o', 'onnx')).toContain('error SIGNATURE_REQUIRED');
    await signed();
    expect(await refused(...upscale)).toContain('is signed only by keys that are not trusted here');
    await trustKey(cwd, `${privateKey()}.pub`, 'Ada');
    await done(...upscale);
    const database = new Database(storePath(cwd));
    database.prepare("UPDATE signatures SET signature = 'AAAA'").run();
    database.close();
    expect(await refused(...upscale, '--overwrite')).toContain('error SIGNATURE_INVALID');
  }, 240_000);

  it('can be asked of one stage alone, as a gate', async () => {
    await addVersion();
    await generateKey(privateKey());
    setRegistry(cwd, '  gates:\n    staging: { require_signature: true }\n');
    const promote = ['registry', 'promote', '1', '--to', 'staging'];
    const gate = 'NOT MET  signed by a trusted key';
    expect(await refused(...promote)).toContain(`${gate} (it has no signature)`);
    await signed();
    expect(await refused(...promote)).toContain(`${gate} (no key that signed it is trusted)`);
    await trustKey(cwd, `${privateKey()}.pub`, 'Ada');
    expect(await done(...promote)).toContain('met  signed by a trusted key (by Ada)');
    expect(await done('registry', 'verify')).toContain('1 signatures are valid');
  });

  it('believes no key that the store alone calls by a trusted name', async () => {
    await addVersion();
    await generateKey(privateKey());
    await trustKey(cwd, `${privateKey()}.pub`, 'Ada');
    const other = join(cwd, 'other', 'key.pem');
    await generateKey(other);
    const trusted = trustedKeys(cwd)[0]!.id;
    await signed(other);
    const database = new Database(storePath(cwd));
    database.prepare('UPDATE signatures SET key = ?').run(trusted);
    database.close();
    expect(await refused('registry', 'verify', '1')).toContain('error SIGNATURE_INVALID');
  });
});

describe('a statement', () => {
  it('is one text for one value, whatever order its keys were set in', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'é"' }], a: undefined, A: 1.5 })).toBe(
      '{"A":1.5,"b":[1,{"c":"é\\"","d":null}]}',
    );
  });
});
