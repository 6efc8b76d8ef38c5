import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Cursor } from '../../event/event.ts';
import { eachMember, endOfValue } from '../../event/json-scan.ts';

const lineFeed = 0x0a;
const chunkBytes = 256 * 1024;

/** A line's bytes without its end, and where they stand in the file. */
export interface Line {
  readonly at: number;
  readonly bytes: Buffer;
}

/** Opens for reading, never through a link; undefined where there is none. @throws the file system's error */
export async function openForReading(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The lines of an open file, split at LF alone: in JSON text U+2028 and U+2029 are no line ends, to node:readline they
 * are. A last line without its end was cut off by a crash and is left out.
 */
export async function* linesOf(file: FileHandle): AsyncGenerator<Line> {
  const parts: Buffer[] = [];
  let lineAt = 0;
  let readAt = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, readAt);
    if (bytesRead === 0) return;
    let from = 0;
    for (;;) {
      const end = chunk.subarray(0, bytesRead).indexOf(lineFeed, from);
      if (end === -1) break;
      parts.push(chunk.subarray(from, end));
      yield { at: lineAt, bytes: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
      parts.length = 0;
      from = end + 1;
      lineAt = readAt + from;
    }
    if (from < bytesRead) parts.push(chunk.subarray(from, bytesRead));
    readAt += bytesRead;
  }
}

/** What was set aside, as one line of a dead letter tells it. */
export interface SetAsideLine {
  readonly id: Cursor;
  /** The event's own text: a view into the line. */
  readonly text: Buffer;
  readonly value: Readonly<Record<string, unknown>>;
  /** When it was set aside, milliseconds since the epoch; 0 where that can't be read. */
  readonly atMs: number;
}

/** Reads a line that was written here, the id with all its digits; undefined where it is none. */
export function readLine(line: Buffer): SetAsideLine | undefined {
  let parsed: { at?: unknown; event?: unknown } | null;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
  const value = parsed?.event;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  let text: Buffer | undefined;
  let digits: string | undefined;
  eachMember(line, 0, (keyAt, keyEnd, valueAt) => {
    if (line.toString('latin1', keyAt, keyEnd) !== '"event"' || line[valueAt] !== 0x7b) return undefined;
    const end = eachMember(line, valueAt, (innerAt, innerEnd, innerValueAt) => {
      if (JSON.parse(line.toString('utf8', innerAt, innerEnd)) !== 'id') return undefined;
      const idEnd = endOfValue(line, innerValueAt);
      digits = line.toString('latin1', innerValueAt, idEnd);
      return idEnd;
    });
    text = line.subarray(valueAt, end);
    return end;
  });
  const id = digits === undefined ? undefined : idOf(digits);
  if (id === undefined || text === undefined) return undefined;
  const atMs = Date.parse(String(parsed?.at));
  return { id, text, value: value as Record<string, unknown>, atMs: Number.isNaN(atMs) ? 0 : atMs };
}

function idOf(digits: string): Cursor | undefined {
  if (/^-?\d+$/.test(digits)) return BigInt(digits);
  const number = Number(digits);
  return Number.isInteger(number) ? BigInt(number) : undefined;
}
