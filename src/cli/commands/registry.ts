import type { Command } from 'commander';
import { addGc } from './registry/gc.js';
import { addHistory } from './registry/history.js';
import { addRegister } from './registry/register.js';
import { addSignatures } from './registry/signatures.js';
import { addPromote, addRollback } from './registry/stages.js';
import { addVerify } from './registry/verify.js';
import { addList, addShow } from './registry/versions.js';

const EXAMPLES = `
Examples:
  hndsr registry register
  hndsr registry promote latest --to production
  hndsr registry show production
  hndsr registry rollback --reason "seams on snow"`;

export function register(program: Command): void {
  const registry = program
    .command('registry')
    .summary('model versions, their stages and gates')
    .description(
      'Versions of the model. Each moves dev -> staging -> canary -> production -> archived, past the gates of ' +
        'params.yaml; one is in production at a time. VERSION is a number, `latest` (registered last) or `production`.',
    )
    .addHelpText('after', EXAMPLES);
  addRegister(registry);
  addPromote(registry);
  addRollback(registry);
  addList(registry);
  addShow(registry);
  addHistory(registry);
  addVerify(registry);
  addSignatures(registry);
  addGc(registry);
}
