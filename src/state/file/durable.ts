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
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const fileMode = 0o600;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const synced = promisify(fsync);

/**
 * Puts `text` in place of `path` so that after a crash at any moment either the old or the new text is there whole; the
 * old one stays as `keepAs`, where that is given. Durable when it resolves. @throws the file system's error, with everything as it was
 *
 * Only the two syncs wait for the disk and leave this thread; a trip to another thread for each of the rest costs more
 * than the rest itself.
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
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  if (keepAs !== undefined) keep(path, keepAs);
  renameSync(temporary, path);
  await syncDirectory(dirname(path));
}

/** A file that was not there before; what an earlier process left in its place goes. Never through a link. */
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
 * The current file gets a second name; where the file system has no hard links, it is renamed. Where a death came between
 * that and the next step there is none, and what is kept is all there is.
 */
function keep(path: string, keepAs: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  unlinkIfThere(keepAs);
  try {
    linkSync(path, keepAs);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK' && code !== 'ENOSYS') throw error;
    renameSync(path, keepAs);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Opens for appending; never through a link. */
export async function openForAppend(path: string): Promise<FileHandle> {
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, fileMode);
  await file.chmod(fileMode);
  return file;
}

/** Text of a file, never through a link; undefined where there is none. @throws the file system's error */
export async function readText(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (!(await file.stat()).isFile())
      throw Object.assign(new Error(`${path} is no file`), { code: 'EISDIR', syscall: 'read', path });
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/**
 * At most `most` bytes of a file's text from byte `from` on, its last ones, and where it ends; never through a link. Empty
 * where there is no file, or `from` lies beyond its end. @throws the file system's error
 */
export async function readTail(path: string, from: number, most: number): Promise<{ text: string; end: number }> {
  const file = await open(path, O_RDONLY | O_NOFOLLOW).catch(ignore('ENOENT'));
  if (file === undefined) return { text: '', end: 0 };
  try {
    const { size } = await file.stat();
    const start = Math.max(from, size - most);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    return { text: bytes.toString('utf8', 0, bytesRead), end: size };
  } finally {
    await file.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = openSync(path, O_RDONLY);
  try {
    await synced(directory);
  } finally {
    closeSync(directory);
  }
}

export function ignore(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
    return undefined;
  };
}
