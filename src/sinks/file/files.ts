import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';

const { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_RDWR } = constants;
export const fileMode = 0o640;
const newline = 0x0a;

/** A file open for appending, which does not end within a line. */
export interface Target {
  readonly handle: FileHandle;
  readonly dev: number;
  readonly ino: number;
}

/**
 * Opens the file, or creates it with its mode whatever the umask. Ends a line that a crash left incomplete. Never blocks on a
 * named pipe. @throws the file system's error
 */
export async function openTarget(path: string): Promise<Target> {
  const flags = O_RDWR | O_APPEND | O_NONBLOCK;
  let handle: FileHandle;
  let isNew = true;
  try {
    handle = await open(path, flags | O_CREAT | O_EXCL, fileMode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    handle = await open(path, flags);
    isNew = false;
  }
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw notAFile();
    if (isNew) {
      await handle.chmod(fileMode);
      await syncDirectory(dirname(path));
    }
    const last = Buffer.from([newline]);
    if (found.size > 0) await handle.read(last, 0, 1, found.size - 1);
    if (last[0] !== newline) await handle.write('\n');
    return { handle, dev: found.dev, ino: found.ino };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Makes what was created or renamed in a directory survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export const notAFile = () =>
  Object.assign(new Error('not a regular file'), { code: 'ERR_NOT_A_FILE', syscall: 'open' });

/** Whether the system reported it of a file; anything else is a bug. */
export const isFileSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error;
