import type { Command } from 'commander';
import { addArchive } from './registry/archive.js';
import { addCanary } from './registry/canary.js';
import { addGc } from './registry/gc.js';
import { addHistory, addWhoWas } from './registry/history.js';
import { addLineage, addUses } from './registry/lineage.js';
import { addMlflow } from './registry/mlflow.js';
import { addAlias, addTag } from './registry/names.js';
import { addRegister } from './registry/register.js';
import { addSignatures } from './registry/signatures.js';
import { addMarkBad, addPromote, addRollback } from './registry/stages.js';
import { addVerify } from './registry/verify.js';
import { addList, addShow } from './registry/versions.js';

const EXAMPLES = `
Examples:
  hndsr registry register --reuse --licence Apache-2.0 --intended-use "optical imagery at 10 m"
  hndsr registry promote latest --to production --dry
  hndsr registry promote latest --to production
  hndsr registry alias latest champion
  hndsr registry tag champion winter
  hndsr registry show champion
  hndsr registry show champion --card
  hndsr registry lineage production
  hndsr registry history production
  hndsr registry who-was production --at 2026-03-01T12:00Z
  hndsr registry verify
  hndsr registry keygen --key signing-key.pem
  hndsr registry sign production --key signing-key.pem
  hndsr registry trust signing-key.pem.pub --name Ada
  hndsr registry export registry.tar
  hndsr registry backup registry.db
  hndsr registry export-mlflow production --to mlflow
  hndsr registry gc --dry
  hndsr registry rollback --reason "seams on snow"`;

export function register(program: Command): void {
  const registry = program
    .command('registry')
    .summary('model versions, their stages and gates')
    .description(
      'Versions of the model. Each moves dev -> staging -> canary -> production -> archived, or through the stages that ' +
        'params.yaml names, past their gates; one is in production at a time. VERSION is a number, `latest` ' +
        '(registered last), `production` or an alias.',
    )
    .addHelpText('after', EXAMPLES);
  addRegister(registry);
  addPromote(registry);
  addRollback(registry);
  addMarkBad(registry);
  addAlias(registry);
  addTag(registry);
  addList(registry);
  addShow(registry);
  addLineage(registry);
  addUses(registry);
  addHistory(registry);
  addWhoWas(registry);
  addVerify(registry);
  addSignatures(registry);
  addCanary(registry);
  addArchive(registry);
  addMlflow(registry);
  addGc(registry);
}
