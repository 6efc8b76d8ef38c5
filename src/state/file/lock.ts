import { constants } from 'node:fs';
import { lstat, open, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StateLocked, StateProblem } from '../store.ts';

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

/** `holderOf` of another process takes the lock for a moment: that must not turn a start away. */
const waitMs = 250;

/**
 * Takes the state directory for this process: an exclusive transaction on `<state>/lock.db`, which the kernel releases
 * when the process dies, however it dies. Who holds it stands in `lock.json`, only to be named.
 * @throws {StateLocked} @throws {StateProblem}
 */
export async function lockState(directory: string, now: () => number): Promise<AsyncDisposable> {
  const path = join(directory, 'lock.db');
  const holder = join(directory, 'lock.json');
  await prepare(path, directory);
  const database = new DatabaseSync(path, { timeout: waitMs });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/lock|busy/i.test((error as Error).message))
      throw new StateProblem(`${path} can't be locked: ${(error as Error).message}. A local file system is required`);
    throw new StateLocked(`${directory} is held by ${await nameHolder(holder)}: one instance a state directory`);
  }
  const startedAt = new Date(now()).toISOString();
  await rm(holder, { force: true });
  await writeFile(holder, `${JSON.stringify({ pid: process.pid, host: hostname(), startedAt })}\n`, {
    mode: 0o600,
    flag: 'wx',
  });
  return {
    async [Symbol.asyncDispose]() {
      await rm(holder, { force: true });
      database.close();
    },
  };
}

/**
 * Who holds the state directory, in words; undefined where nobody does. Takes nothing and leaves nothing.
 * @throws {StateProblem} where that can't be told
 */
export async function holderOf(directory: string): Promise<string | undefined> {
  const path = join(directory, 'lock.db');
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return undefined;
  } catch (error) {
    if (/lock|busy/i.test((error as Error).message)) return await nameHolder(join(directory, 'lock.json'));
    throw new StateProblem(`${path} can't be read: ${(error as Error).message}`);
  } finally {
    database.close();
  }
}

/** SQLite would follow a link and use the umask: the file is made and looked at first. */
async function prepare(path: string, directory: string): Promise<void> {
  try {
    const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    await file.chmod(0o600);
    await file.close();
    if (!(await lstat(path)).isFile()) throw new StateProblem(`${path} is no file`);
  } catch (error) {
    if (error instanceof StateProblem) throw error;
    throw new StateProblem(`the state directory ${directory} can't be used: ${(error as Error).message}`);
  }
}

async function nameHolder(path: string): Promise<string> {
  try {
    const { pid, host, startedAt } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    return `process ${String(pid)} on ${String(host)} since ${String(startedAt)}`;
  } catch {
    return 'another process';
  }
}
