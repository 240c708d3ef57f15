import { HndsrError } from '../../errors.js';

/** Writes an error to stderr: as JSON with --json, else as text. */
export function printError(error: unknown, json: boolean, verbose = false): void {
  process.stderr.write(
    json ? `${JSON.stringify({ error: errorValue(error) })}\n` : `${explain(error, verbose)}\n`,
  );
}

function errorValue(error: unknown): Record<string, unknown> {
  return error instanceof HndsrError ? error.toJSON() : { code: 'INTERNAL', message: String(error) };
}

/** The text of an error: what, where, and what to do. An internal error looks different from a user's mistake. */
function explain(error: unknown, verbose: boolean): string {
  if (!(error instanceof HndsrError)) {
    const detail =
      error instanceof Error ? (verbose ? error.stack : `${error.name}: ${error.message}`) : String(error);
    return `internal error: ${detail}\n  This is a fault of hndsr. Please report it with the output of the same command and --verbose.`;
  }
  const lines = [`error ${error.code}: ${error.message}`];
  if (error.location !== undefined) {
    const { file, line, column } = error.location;
    lines.push(`  at ${file}:${line}:${column}`);
    if (error.source !== undefined) {
      // A tab is as wide below as it is above.
      const before = error.source
        .slice(0, column - 1)
        .replaceAll(/[^\t]/g, ' ')
        .padEnd(column - 1);
      const squiggle = `^${'~'.repeat((error.length ?? 1) - 1)}`;
      lines.push(
        `  ${line} | ${error.source}`,
        `  ${' '.repeat(String(line).length)} | ${before}${squiggle}`,
      );
    }
  }
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint}`);
  if (verbose && error.cause instanceof Error) lines.push(`  cause: ${error.cause.stack}`);
  return lines.join('\n');
}
