import type { FileHandle } from 'node:fs/promises';
import type { Cursor } from '../../event/event.ts';
import { eachMember, endOfValue } from '../../event/json-scan.ts';
import type { IdInterval } from '../store.ts';

const lineFeed = 0x0a;
const chunkBytes = 256 * 1024;

/** The bytes of a line without its line feed, and their offset in the file. */
export interface Line {
  readonly at: number;
  readonly bytes: Buffer;
}

/**
 * The lines of an open file, split at LF only: node:readline also splits at U+2028 and U+2029, which JSON text may
 * contain. A last line without line feed was cut off by a crash and is left out.
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

/** The event in one line of a dead letter file. */
export interface LetterLine {
  readonly id: Cursor;
  /** The event's own text: a view into the line. */
  readonly text: Buffer;
  readonly value: Readonly<Record<string, unknown>>;
  /** When the line was written, milliseconds since the epoch; 0 if that can't be read. */
  readonly atMs: number;
}

/** Reads a line that was written here, the id with all its digits; undefined if it is malformed. */
export function readLine(line: Buffer): LetterLine | undefined {
  let parsed: { at?: unknown; event?: unknown } | null;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
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

/** Something about each of the lowest ids of an interval. */
export interface Window<T> {
  /** In ascending order of id. */
  readonly ids: Map<Cursor, T>;
  /** The window ends at this id and there are more above it; undefined if it reaches the end of the interval. */
  readonly end: Cursor | undefined;
  /** Lines of the whole file that hold no event. */
  readonly unreadable: number;
}

/**
 * Reads the whole file and returns something about each of the lowest `limit` ids of `interval`. So a file of any
 * length is read in order of id with bounded memory, in one pass a window. `merge` gets the lines of one id one after
 * the other, with what it returned for the line before.
 */
export async function readWindow<T>(
  file: FileHandle,
  { after, until }: IdInterval,
  limit: number,
  merge: (line: LetterLine, at: Line, before: T | undefined) => T,
): Promise<Window<T>> {
  let ids = new Map<Cursor, T>();
  let end: Cursor | undefined;
  let unreadable = 0;
  /** Keeps the lowest `limit` ids. */
  const cut = () => {
    const lowest = [...ids].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit);
    if (lowest.length < ids.size) end = lowest.at(-1)?.[0];
    ids = new Map(lowest);
  };
  for await (const at of linesOf(file)) {
    const line = readLine(at.bytes);
    if (line === undefined) unreadable += at.bytes.length === 0 ? 0 : 1;
    if (line === undefined || line.id <= after) continue;
    if ((until !== undefined && line.id > until) || (end !== undefined && line.id > end)) continue;
    ids.set(line.id, merge(line, at, ids.get(line.id)));
    if (ids.size >= 2 * limit) cut();
  }
  cut();
  return { ids, end, unreadable };
}
