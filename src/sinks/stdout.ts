import { closeSync, fstatSync, openSync, readSync, writeFile } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { type Batch, copyRecord, sizeOf } from '../event/event.ts';
import { statusRecordText } from '../event/status-record.ts';
import { runEvenIfInvalid } from '../lib/options/values.ts';
import { accepted, type Verdict } from '../lib/verdict.ts';
import { checkRecords, entry } from './common-options.ts';
import type { SinkDefinition } from './definition.ts';
import type { Sink } from './sink.ts';

/** Configuration of a `stdout` sink. */
const options = entry('stdout').superRefine(checkRecords, runEvenIfInvalid).meta({ title: 'Standard output' });

export const stdout = {
  type: 'stdout',
  options,
  environment: { name: 'stdout', variables: {}, fallback: true },
  terms: { probe: 'output', address: 'the destination of standard output', credentials: 'its permissions' },
  proof: () => 'stdout',
  destination: () => 'standard output',
  exclusive: () => 'standard output',
  open: () => openStdout(),
} satisfies SinkDefinition;

const newline = 0x0a;
type Failure = NodeJS.ErrnoException;
/** Writes all of it, or tells why not. */
type Put = (bytes: Buffer, done: (error: Failure | null | undefined) => void) => void;

/**
 * Records on standard output, one a line. A batch is accepted when the pipe, or the file, has taken it.
 * @param out a stream, or the descriptor of an open file
 */
export function openStdout(out: Writable | number = destination()): Sink {
  let failed: Failure | undefined;
  /** The last write may have ended within a line: the next one begins on a line of its own. */
  let torn = typeof out === 'number' && endsWithinLine(out);
  const put: Put =
    typeof out === 'number' ? (bytes, done) => writeFile(out, bytes, done) : (bytes, done) => out.write(bytes, done);
  const stream = typeof out === 'number' ? undefined : out;
  // Without a listener a closed pipe would end the process; what matters also comes to the write's callback.
  const onError = (error: Failure) => {
    failed = error;
  };
  stream?.on('error', onError);
  let isFree = stream === undefined || stream.writableLength === 0;
  /** What a sink before this one has left in the stream must be out first, or each change would add the same again. */
  const untilFree = async (kill: AbortSignal): Promise<Failure | undefined> => {
    if (isFree) return undefined;
    const error = await write(put, Buffer.alloc(0), kill);
    isFree = error === undefined;
    return error;
  };
  const send = async (bytes: () => Buffer, kill: AbortSignal): Promise<Verdict> => {
    if (failed?.code === 'EPIPE') return judge(failed);
    const error = (await untilFree(kill)) ?? (await write(put, bytes(), kill));
    torn = error !== undefined;
    return error === undefined ? accepted : judge(error);
  };

  return {
    window: 1,
    limits: { maxEvents: 1000, maxBytes: 900 * 1024 },
    send: (batch, kill) => send(() => lines(batch, torn), kill),
    sendStatus: (note, kill) => send(() => Buffer.from(`${torn ? '\n' : ''}${statusRecordText(note)}\n`), kill),
    probe: async () => (failed === undefined ? accepted : judge(failed)),
    async [Symbol.asyncDispose]() {
      stream?.off('error', onError);
      if (stream?.listeners('error').includes(unheard) === false) stream.on('error', unheard);
    },
  };
}

/** What still comes of a closed pipe. */
const unheard = () => {};

/**
 * Node's stream for a file takes a short write (a disk that fills up) for a whole one, and what did not fit would count
 * as delivered: a file is written without it, until all is in or the system says why not.
 */
function destination(): Writable | number {
  return process.stdout instanceof Socket ? process.stdout : 1;
}

/** Whether an earlier process left the file's last line cut off; false where that can't be seen. */
function endsWithinLine(fd: number): boolean {
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return false;
    // The file itself is open for writing only.
    const file = openSync(`/proc/self/fd/${fd}`, 'r');
    try {
      const last = Buffer.alloc(1);
      return readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== newline;
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

function judge(error: Failure): Verdict {
  if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
    return { kind: 'stop', reason: 'network', detail: 'the reader of standard output is gone', permanent: true };
  return { kind: 'retry', reason: 'network', detail: `standard output can't be written: ${error.message}` };
}

function write(put: Put, bytes: Buffer, kill: AbortSignal): Promise<Failure | undefined> {
  return new Promise((resolve, reject) => {
    kill.throwIfAborted();
    const onKill = () => reject(kill.reason);
    kill.addEventListener('abort', onKill);
    put(bytes, (error) => {
      kill.removeEventListener('abort', onKill);
      resolve(error ?? undefined);
    });
  });
}

function lines({ records }: Batch, torn: boolean): Buffer {
  const length = records.reduce((sum, encoded) => sum + sizeOf(encoded) + 1, torn ? 1 : 0);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  if (torn) bytes[at++] = newline;
  for (const encoded of records) {
    at = copyRecord(encoded, bytes, at);
    bytes[at++] = newline;
  }
  return bytes;
}
