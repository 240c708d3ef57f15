import { resolve } from 'node:path';
import type { Command } from 'commander';
import { action } from '../../context.js';
import { table } from '../../render/table.js';
import { type ActorFlags, actorOf, VERSION_HELP } from './shared.js';

export function addSignatures(registry: Command): void {
  addKeygen(registry);
  addSign(registry);
  addTrust(registry);
  addUntrust(registry);
}

const KEY_HELP = 'the private key (default: ~/.config/hndsr/signing-key.pem)';

function addKeygen(registry: Command): void {
  registry
    .command('keygen')
    .description(
      'Makes an Ed25519 key: the private one for its owner alone, the public one in a .pub file beside it.',
    )
    .option('--key <file>', KEY_HELP)
    .action(
      action<{ key?: string }>(async (context, { key }) => {
        const { generateKey } = await import('../../../registry/keys.js');
        const made = await generateKey(key === undefined ? undefined : resolve(context.cwd, key));
        const lines = [`key ${made.id}`, `private: ${made.privateKey}`, `public: ${made.publicKey}`];
        context.print(made, lines.join('\n'));
      }),
    );
}

function addSign(registry: Command): void {
  registry
    .command('sign')
    .description('Signs what the registry says of a version: its files by hash, and its card.')
    .argument('<version>', VERSION_HELP)
    .option('--key <file>', KEY_HELP)
    .option('--actor <name>', 'who signs (default: the git identity)')
    .action(
      action<ActorFlags & { key?: string }>(async (context, { key, actor }, name: string) => {
        const { sign } = await import('../../../registry/sign.js');
        const result = await sign({
          cwd: context.cwd,
          version: name,
          actor: await actorOf(context, actor),
          ...(key === undefined ? {} : { key: resolve(context.cwd, key) }),
        });
        context.print(result, `version ${result.version} is signed by key ${result.key}`);
      }),
    );
}

function addTrust(registry: Command): void {
  registry
    .command('trust')
    .description('Adds a public key to trusted-keys.json; without a file, lists the keys there.')
    .argument('[file]', 'the .pub file')
    .option('--name <name>', "what to call the key (default: the file's path)")
    .action(
      action<{ name?: string }>(async (context, { name }, file: string | undefined) => {
        const listed = ({ id, name: called }: { id: string; name: string }) => ({ key: id, name: called });
        if (file === undefined) {
          const { trustedKeys } = await import('../../../store/trusted-keys.js');
          const keys = trustedKeys(context.cwd).map(listed);
          const rows = keys.map((one) => [one.name, one.key]);
          const text = rows.length === 0 ? 'no key is trusted' : table([['name', 'key'], ...rows]);
          context.print(keys, text);
          return;
        }
        const { trustKey } = await import('../../../registry/keys.js');
        const key = listed(await trustKey(context.cwd, resolve(context.cwd, file), name ?? file));
        context.print(key, `key ${key.key} is trusted, as ${key.name}`);
      }),
    );
}

function addUntrust(registry: Command): void {
  registry
    .command('untrust')
    .description('Takes a key out of trusted-keys.json.')
    .argument('<key>', 'its name, or the first eight or more digits of it')
    .action(
      action(async (context, _flags, wanted: string) => {
        const { untrustKey } = await import('../../../registry/keys.js');
        const { id, name } = await untrustKey(context.cwd, wanted);
        context.print({ key: id, name }, `key ${id} (${name}) is no longer trusted`);
      }),
    );
}
