import { closeSync, fstatSync, openSync, readSync, writeFile } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { runEvenIfInvalid } from '../lib/options/values.ts';
import { accepted, type Verdict } from '../lib/verdict.ts';
import { checkRecords, entry } from './common-options.ts';
import type { SinkDefinition } from './definition.ts';
import { batchLines, statusLine } from './lines.ts';
import type { Sink } from './sink.ts';

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

type Failure = NodeJS.ErrnoException;
/** Writes all bytes, or reports why it can't. */
type Write = (bytes: Buffer, done: (error: Failure | null | undefined) => void) => void;

/**
 * Writes records to standard output, one a line. A batch is accepted when the pipe, or the file, has taken it.
 * @param out a stream, or the descriptor of an open file
 */
export function openStdout(out: Writable | number = standardOutput()): Sink {
  let failed: Failure | undefined;
  /** The last write may have ended within a line: the next one starts with a line end. */
  let isTorn = typeof out === 'number' && endsWithinLine(out);
  const write: Write =
    typeof out === 'number' ? (bytes, done) => writeFile(out, bytes, done) : (bytes, done) => out.write(bytes, done);
  const stream = typeof out === 'number' ? undefined : out;
  // Without a listener a closed pipe would end the process; the write's callback gets the error too.
  const onError = (error: Failure) => {
    failed = error;
  };
  stream?.on('error', onError);
  let isDrained = stream === undefined || stream.writableLength === 0;
  /** Waits for what an earlier sink left in the stream: each reload would add the same bytes to it again. */
  const drain = async (forced: AbortSignal): Promise<Failure | undefined> => {
    if (isDrained) return undefined;
    const error = await writeUntil(forced, write, Buffer.alloc(0));
    isDrained = error === undefined;
    return error;
  };
  const send = async (bytes: () => Buffer, forced: AbortSignal): Promise<Verdict> => {
    if (failed?.code === 'EPIPE') return verdictOf(failed);
    const error = (await drain(forced)) ?? (await writeUntil(forced, write, bytes()));
    isTorn = error !== undefined;
    return error === undefined ? accepted : verdictOf(error);
  };

  return {
    window: 1,
    limits: { maxEvents: 1000, maxBytes: 900 * 1024 },
    send: (batch, forced) => send(() => batchLines(batch, isTorn), forced),
    sendStatus: (record, forced) => send(() => statusLine(record, isTorn), forced),
    probe: async () => (failed === undefined ? accepted : verdictOf(failed)),
    async [Symbol.asyncDispose]() {
      stream?.off('error', onError);
      if (stream?.listeners('error').includes(ignore) === false) stream.on('error', ignore);
    },
  };
}

/** Takes the errors of a pipe that closes after the sink did. */
const ignore = () => {};

/**
 * Node's stream for a file takes a short write (the disk fills up) for a complete one, and the rest would count as
 * delivered. So a file is written without the stream: until all is in, or the system reports why not.
 */
function standardOutput(): Writable | number {
  const { stdout } = process;
  if (!(stdout instanceof Socket)) return 1;
  // Node writes to a terminal blocking, also to that of a container: one that is stopped would stop the whole process.
  const { _handle: handle } = stdout as Socket & { readonly _handle?: { setBlocking?(on: boolean): void } };
  if (stdout.isTTY) handle?.setBlocking?.(false);
  return stdout;
}

/** Whether an earlier process left the file's last line incomplete; false if that can't be seen. */
function endsWithinLine(fd: number): boolean {
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return false;
    // Standard output itself is open for writing only.
    const file = openSync(`/proc/self/fd/${fd}`, 'r');
    try {
      const last = Buffer.alloc(1);
      return readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (!('syscall' in (error as Error))) throw error;
    return false;
  }
}

function verdictOf(error: Failure): Verdict {
  if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
    return { kind: 'stop', reason: 'network', detail: 'the reader of standard output is gone', permanent: true };
  return { kind: 'retry', reason: 'network', detail: `standard output can't be written: ${error.message}` };
}

/** @throws the reason of `forced` */
function writeUntil(forced: AbortSignal, write: Write, bytes: Buffer): Promise<Failure | undefined> {
  return new Promise((resolve, reject) => {
    forced.throwIfAborted();
    const onAbort = () => reject(forced.reason);
    forced.addEventListener('abort', onAbort);
    write(bytes, (error) => {
      forced.removeEventListener('abort', onAbort);
      resolve(error ?? undefined);
    });
  });
}
