import { constants } from 'node:fs';
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

const fileMode = 0o600;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/**
 * Puts `text` in place of `path` so that after a crash at any moment either the old or the new text is there whole; the
 * old one stays as `keepAs`. Durable when it resolves. @throws the file system's error, with everything as it was
 */
export async function replaceFile(path: string, text: string, keepAs: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await unlink(temporary).catch(ignore('ENOENT'));
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, fileMode);
  try {
    await file.chmod(fileMode);
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await file.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await file.close();
  await keep(path, keepAs);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** The current file gets a second name; where the file system has no hard links, it is renamed. */
async function keep(path: string, keepAs: string): Promise<void> {
  await unlink(keepAs).catch(ignore('ENOENT'));
  try {
    await link(path, keepAs);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK' && code !== 'ENOSYS') throw error;
    await rename(path, keepAs);
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
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export function ignore(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
    return undefined;
  };
}
