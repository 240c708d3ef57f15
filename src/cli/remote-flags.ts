import type { Command } from 'commander';
import { formatBytes } from '../config/bytes.js';
import type { TransferCounts } from '../pipeline/remote/transfer.js';
import { PIPELINE_FLAG, type PipelineFlag } from './pipeline-flag.js';

export interface RemoteFlags extends PipelineFlag {
  remote?: string;
  endpoint?: string;
  runCache?: boolean;
}

/** The argument and flags of `push`, `fetch` and `pull`. */
export function withRemoteFlags(command: Command): Command {
  return command
    .argument('[stages...]', 'these stages and those they depend on (default: all)')
    .option(...PIPELINE_FLAG)
    .option('--remote <address>', 'a folder, or s3://bucket/prefix (default: cache.remote of pipeline.yaml)')
    .option('--endpoint <url>', 'of a bucket of a service other than AWS')
    .option('--run-cache', 'also all earlier runs, not only those that hndsr.lock names', false);
}

export function describeTransfer(counts: TransferCounts, done: string, present: string): string {
  const { transferred, bytes } = counts;
  const files = `${transferred} ${transferred === 1 ? 'file' : 'files'}`;
  return `${files} ${done} (${formatBytes(bytes)}), ${counts.present} ${present}.`;
}
