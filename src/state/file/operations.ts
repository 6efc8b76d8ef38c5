import { join } from 'node:path';
import { openForAppend, readTail, syncDirectory } from './durable.ts';

/** What a person did to the state; ids are written as strings of digits, so that none loses one. */
export interface Operation {
  /** For example `cursor set`. */
  readonly operation: string;
  readonly sink: string;
  /** What it was before and after, null where that is not known: positions, names or a range, by the operation. */
  readonly from: unknown;
  readonly to: unknown;
  readonly [more: string]: unknown;
}

/** What the program itself did or met. */
export interface OwnEvent {
  /** For example `forwarder.started`. */
  readonly event: string;
  readonly [more: string]: unknown;
}

export interface OperationsOptions {
  /** `state.directory`; it must be there. */
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const fileName = 'operations.ndjson';
const mostReadBytes = 1024 ** 2;

/**
 * Appends `{ at, uid, operation, sink, from, to, … }`, or `{ at, uid, event, … }`, as one line of JSON to `<state>/operations.ndjson`; durable when it
 * resolves. A line that a crash cut off stays as it is, and the new one begins below it.
 * @throws the file system's error
 */
export async function appendOperation(
  { directory, now }: OperationsOptions,
  operation: Operation | OwnEvent,
): Promise<void> {
  const at = new Date(now()).toISOString();
  const line = JSON.stringify({ at, uid: process.getuid?.() ?? null, ...operation }, idsAsText);
  const file = await openForAppend(join(directory, fileName));
  try {
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await file.read(last, 0, 1, size - 1);
    // One write: lines of two processes do not mix.
    await file.appendFile(size > 0 && last[0] !== 0x0a ? `\n${line}\n` : `${line}\n`);
    await file.sync();
    if (size === 0) await syncDirectory(directory);
  } finally {
    await file.close();
  }
}

/**
 * The lines after the first `from` bytes as they were parsed (the last MiB of them), and where the file ends; what is no
 * JSON object is left out. Nothing where `from` lies beyond the end: it is another file. @throws the file system's error
 */
export async function readOperations(
  directory: string,
  from: number,
): Promise<{ entries: Record<string, unknown>[]; end: number }> {
  const { text, end } = await readTail(join(directory, fileName), from, mostReadBytes);
  return { entries: text.split('\n').flatMap(parsed), end };
}

function parsed(line: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [value as Record<string, unknown>]
      : [];
  } catch {
    return [];
  }
}

const idsAsText = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
