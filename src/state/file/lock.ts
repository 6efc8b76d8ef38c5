import { constants, lstatSync } from 'node:fs';
import { lstat, open, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { printable } from '../../lib/printable.ts';
import { StateLocked, StateProblem } from '../store.ts';
import { ignore, ignoreFileSystem, isFileSystems, readText, replaceFile } from './durable.ts';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;

/** `ownerOf` of another process takes the lock for a moment: that must not fail a start. */
const waitMs = 250;

export interface StateLock extends AsyncDisposable {
  /** Whether the locked file is still in its place: another process could lock a new one. */
  isInPlace(): boolean;
}

/**
 * Locks the state directory for this process: an exclusive transaction on `<state>/lock.db`, which the kernel releases
 * when the process dies, however it dies. `lock.json` names the owner; it decides nothing.
 * @throws {StateLocked} @throws {StateProblem}
 */
export async function lockState(directory: string, now: () => number): Promise<StateLock> {
  const path = join(directory, 'lock.db');
  const owner = join(directory, 'lock.json');
  const inode = await prepare(path, directory);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: waitMs });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw unusable(path, error as Error);
    throw new StateLocked(
      `${directory} is held by ${await nameOwner(owner)}: only one instance may use a state directory`,
    );
  }
  try {
    const startedAt = new Date(now()).toISOString();
    await replaceFile(owner, `${JSON.stringify({ pid: process.pid, host: hostname(), startedAt })}\n`);
  } catch (error) {
    database.close();
    throw error;
  }
  const isInPlace = () => lstatSync(path, { throwIfNoEntry: false })?.ino === inode;
  return {
    isInPlace,
    async [Symbol.asyncDispose]() {
      try {
        // Else the name in it is not ours any more.
        if (isInPlace()) await unlink(owner).catch(ignoreFileSystem);
      } finally {
        database.close();
      }
    },
  };
}

/**
 * Who owns the state directory, in words; undefined if no process does. Changes nothing.
 * @throws {StateProblem} if that can't be found out
 */
export async function ownerOf(directory: string): Promise<string | undefined> {
  const path = join(directory, 'lock.db');
  const stats = await lstat(path).catch(ignore('ENOENT', 'ENOTDIR'));
  if (stats?.isFile() !== true) return undefined;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return undefined;
  } catch (error) {
    if (isBusy(error)) return await nameOwner(join(directory, 'lock.json'));
    throw unusable(path, error as Error);
  } finally {
    database?.close();
  }
}

/** SQLITE_BUSY and SQLITE_LOCKED (https://www.sqlite.org/rescode.html). */
const isBusy = (error: unknown) => [5, 6].includes(Number((error as { errcode?: number }).errcode));

function unusable(path: string, { message }: Error): StateProblem {
  // It holds no data. It is not replaced here, because another process could still have the old file locked.
  const remedy = /not a database|malformed/i.test(message)
    ? 'it is damaged: stop every forwarder that uses this directory, then delete the file'
    : 'a local file system is required';
  return new StateProblem(`${path} can't be locked (${printable(message)}): ${remedy}`);
}

/** SQLite follows links and uses the umask, so the file is created and checked first. Returns its inode. */
async function prepare(path: string, directory: string): Promise<number> {
  try {
    await using file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    const stats = await file.stat();
    if (!stats.isFile()) throw new StateProblem(`${path} is not a regular file: move it away`);
    await file.chmod(0o600);
    return stats.ino;
  } catch (error) {
    if (error instanceof StateProblem || !isFileSystems(error)) throw error;
    throw new StateProblem(`the state directory ${directory} can't be used: ${error.message}`);
  }
}

async function nameOwner(path: string): Promise<string> {
  try {
    const { pid, host, startedAt } = Object(JSON.parse((await readText(path)) ?? '')) as Record<string, unknown>;
    return printable(`process ${String(pid)} on ${String(host)} since ${String(startedAt)}`);
  } catch (error) {
    if (error instanceof SyntaxError || isFileSystems(error)) return 'another process';
    throw error;
  }
}
