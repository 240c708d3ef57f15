import { existsSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { checkWritable, syncFolder, temporaryBeside } from '../atomic.js';
import { HndsrError } from '../errors.js';
import { asStoreError, openExistingStore } from '../store/store.js';

/** In one go: a backup taken piece by piece begins again whenever another process writes in between. */
const ALL_PAGES = 0x7fffffff;

export interface BackupOptions {
  cwd: string;
  /** Relative to `cwd`. */
  output: string;
  overwrite: boolean;
}

export interface BackupResult {
  output: string;
  bytes: number;
}

/**
 * Copies the store as it is at one moment, while others use it, checks the copy and only then gives it its name. The
 * objects, which never change, are not part of it.
 * @throws HndsrError INPUT_MISSING if there is no store, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, STORE_INVALID
 */
export async function backup({ cwd, output, overwrite }: BackupOptions): Promise<BackupResult> {
  const path = resolve(cwd, output);
  if (existsSync(path) && !overwrite) {
    throw new HndsrError('OUTPUT_EXISTS', `${output} exists already`, {
      hint: 'Choose another name, or add --overwrite.',
    });
  }
  const temporary = temporaryBeside(path);
  const store = openExistingStore(cwd);
  try {
    await checkWritable(path);
    await store.database.backup(temporary, { progress: () => ALL_PAGES });
    checkCopy(temporary);
    const file = await open(temporary, 'r+');
    await file.sync();
    await file.close();
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return { output: path, bytes: (await stat(path)).size };
  } catch (error) {
    throw asStoreError(error, path);
  } finally {
    store.close();
    for (const ending of ['', '-wal', '-shm']) await rm(temporary + ending, { force: true });
  }
}

/** Makes one file of it, without a log beside it, and reads every page. */
function checkCopy(path: string): void {
  const copy = new Database(path);
  try {
    copy.pragma('journal_mode = DELETE');
    const found = copy.pragma('integrity_check', { simple: true }) as string;
    if (found !== 'ok') throw damaged(found);
    const dangling = copy.pragma('foreign_key_check') as unknown[];
    if (dangling.length > 0) throw damaged('rows name others that are not there');
  } finally {
    copy.close();
  }
}

function damaged(what: string): HndsrError {
  return new HndsrError('STORE_INVALID', `the store is damaged, and was not backed up: ${what}`, {
    hint: 'Restore it from an earlier backup.',
  });
}
