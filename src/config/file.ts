import { readFileSync, statSync } from 'node:fs';

const MAX_BYTES = 1024 ** 2;

export type FileText =
  | { readonly ok: true; readonly text: string }
  /** `message` completes a sentence that starts with "the file". */
  | { readonly ok: false; readonly message: string; readonly missing: boolean };

/** Reads a file of at most 1 MiB of UTF-8 text. `readFile` throws the file system's error. */
export function readText(path: string, readFile: (path: string) => Buffer = bounded): FileText {
  let bytes: Buffer;
  try {
    bytes = readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    return { ok: false, message: explanations[code] ?? `can't be read (${code})`, missing };
  }
  if (bytes.length > MAX_BYTES) return { ok: false, message: tooLarge, missing: false };
  const text = decode(bytes);
  return text === undefined
    ? { ok: false, message: 'is not UTF-8 text: save it as UTF-8', missing: false }
    : { ok: true, text };
}

const tooLarge = 'is larger than 1 MiB';
const explanations: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'is not readable by this user',
  EISDIR: 'is a directory',
  ERR_FS_FILE_TOO_LARGE: tooLarge,
};

function bounded(path: string): Buffer {
  if (statSync(path).size > MAX_BYTES)
    throw Object.assign(new Error('the file is too large'), { code: 'ERR_FS_FILE_TOO_LARGE' });
  return readFileSync(path);
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    return undefined;
  }
}
