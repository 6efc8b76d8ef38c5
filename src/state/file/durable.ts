import {
  closeSync,
  constants,
  fchmodSync,
  fsync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const fileMode = 0o600;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const synced = promisify(fsync);
/** A larger file was not written here: it is not read into memory. */
const maxTextBytes = 256 * 1024 ** 2;

/**
 * Replaces `path` by `text` so that after a crash at any moment either the old or the new text is complete. The old one
 * stays as `keepAs`, if that is given. Durable once it resolves. @throws the file system's error, with nothing changed
 *
 * Only the two syncs wait for the disk and leave this thread. For the other calls a switch of threads would cost more
 * than the call itself.
 */
export async function replaceFile(path: string, text: string, keepAs?: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = openNew(temporary);
  try {
    try {
      fchmodSync(file, fileMode);
      writeFileSync(file, text);
      await synced(file);
    } finally {
      closeSync(file);
    }
    if (keepAs !== undefined) keep(path, keepAs);
    renameSync(temporary, path);
  } catch (error) {
    // What stays is removed by the next call.
    await unlink(temporary).catch(ignoreFileSystem);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Opens a new file; what an earlier process left under the name is removed. Never follows a link. */
function openNew(path: string): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return openSync(path, flags, fileMode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    unlinkSync(path);
    return openSync(path, flags, fileMode);
  }
}

/**
 * Gives the current file a second name. A file system without hard links gets a rename: a crash before the next step
 * then leaves only `keepAs`. Without a current file (such a crash happened) `keepAs` stays, since it is all there is.
 */
function keep(path: string, keepAs: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  try {
    unlinkSync(keepAs);
  } catch (error) {
    ignore('ENOENT')(error as NodeJS.ErrnoException);
  }
  try {
    linkSync(path, keepAs);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    renameSync(path, keepAs);
  }
}

/** Whether the file system refused a hard link because it has none. */
const hasNoLinks = (error: unknown) =>
  ['EPERM', 'ENOTSUP', 'EMLINK', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Opens for appending and reading; never follows a link. @throws the file system's error, EISDIR for what is no file */
export async function openForAppend(path: string): Promise<FileHandle> {
  const flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const file = await open(path, flags, fileMode).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EISDIR' ? notRegular(path) : error;
  });
  return await checked(file, path, () => file.chmod(fileMode));
}

/** Opens for reading; never follows a link. Undefined if there is no file. @throws the file system's error */
export async function openForReading(path: string): Promise<FileHandle | undefined> {
  // Without O_NONBLOCK the open of a FIFO never returns.
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(ignore('ENOENT'));
  return file && (await checked(file, path));
}

const notRegular = (path: string) =>
  Object.assign(new Error(`${path} is not a regular file: move it away`), { code: 'EISDIR', syscall: 'open', path });

async function checked(file: FileHandle, path: string, prepare?: () => Promise<void>): Promise<FileHandle> {
  try {
    if (!(await file.stat()).isFile()) throw notRegular(path);
    await prepare?.();
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The text of a file; never follows a link. Undefined if there is no file. @throws the file system's error, EFBIG */
export async function readText(path: string): Promise<string | undefined> {
  await using file = await openForReading(path);
  if (file === undefined) return undefined;
  const { size } = await file.stat();
  if (size > maxTextBytes)
    throw Object.assign(new Error(`${path} is ${size} bytes long`), { code: 'EFBIG', syscall: 'read', path });
  return await file.readFile('utf8');
}

/**
 * The text of a file from byte `from` to its end, of that at most the last `maxBytes`; never follows a link. Empty if
 * there is no file or `from` lies beyond its end. @throws the file system's error
 */
export async function readTail(path: string, from: number, maxBytes: number): Promise<{ text: string; end: number }> {
  await using file = await openForReading(path);
  if (file === undefined) return { text: '', end: 0 };
  const { size } = await file.stat();
  const start = Math.max(from, size - maxBytes);
  const bytes = Buffer.alloc(Math.max(0, size - start));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
  return { text: bytes.toString('utf8', 0, bytesRead), end: size };
}

/** Whether both names lead to one file: what an interrupted `moveFile` leaves. @throws the file system's error */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([lstat(a).catch(ignore('ENOENT')), lstat(b).catch(ignore('ENOENT'))]);
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/**
 * Renames `from` to `to` without ever overwriting another file. If `from` is missing, nothing happens.
 * @throws the file system's error, EEXIST if `to` exists
 */
export async function moveFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code === 'EEXIST' && (await isSameFile(from, to))) return await unlink(from);
    if (!hasNoLinks(error)) throw error;
    if ((await lstat(to).catch(ignore('ENOENT'))) !== undefined)
      throw Object.assign(new Error(`${to} exists already`), { code: 'EEXIST', syscall: 'rename', path: to });
    return await rename(from, to);
  }
  await unlink(from);
}

/** Creates a directory, and those above it, for this user alone; durable once it resolves. @throws the file system's error */
export async function makeDirectory(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = openSync(path, O_RDONLY);
  try {
    await synced(directory);
  } finally {
    closeSync(directory);
  }
}

/** A handler for `catch` that returns undefined for these codes and throws any other error. */
export function ignore(...codes: readonly string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
    return undefined;
  };
}

/** A handler for `catch` that ignores what the file system reports, and nothing else. */
export function ignoreFileSystem(error: unknown): undefined {
  if (!isFileSystems(error)) throw error;
}

/** Whether the file system reported it. Node's own errors (ERR_…) and ours are none. */
export const isFileSystems = (error: unknown): error is NodeJS.ErrnoException =>
  /^E[A-Z0-9]+$/.test((error as NodeJS.ErrnoException).code ?? '');
