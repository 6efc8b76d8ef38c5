import type { Writable } from 'node:stream';
import type { Batch } from '../core/event.ts';
import { accepted, type Verdict } from '../core/verdict.ts';
import { together } from '../options/values.ts';
import { checkRecords, entry } from './entry.ts';
import type { Sink } from './sink.ts';

/** Configuration of a `stdout` sink. */
export const stdoutOptions = entry('stdout').superRefine(checkRecords, together);

const newline = 0x0a;

/** Records on standard output, one a line. A batch is accepted when the pipe, or the file, has taken it. */
export function openStdout(out: Writable = process.stdout): Sink {
  let failed: NodeJS.ErrnoException | undefined;
  /** The last write may have ended within a line: the next one begins on a line of its own. */
  let torn = false;
  // Without a listener a closed pipe would end the process; what matters also comes to the write's callback.
  const onError = (error: NodeJS.ErrnoException) => {
    failed = error;
  };
  out.on('error', onError);

  return {
    window: 1,
    limits: { maxEvents: 1000, maxBytes: 900 * 1024 },
    async send(batch, kill) {
      if (failed?.code === 'EPIPE') return judge(failed);
      const error = await write(out, lines(batch, torn), kill);
      torn = error !== undefined;
      return error === undefined ? accepted : judge(error);
    },
    probe: async () => (failed === undefined ? accepted : judge(failed)),
    async [Symbol.asyncDispose]() {
      out.off('error', onError);
      // What still comes of a closed pipe stays unheard.
      out.on('error', () => {});
    },
  };
}

function judge(error: NodeJS.ErrnoException): Verdict {
  if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
    return { kind: 'stop', reason: 'network', detail: 'the reader of standard output is gone', final: true };
  return { kind: 'retry', reason: 'network', detail: `standard output can't be written: ${error.message}` };
}

function write(out: Writable, bytes: Buffer, kill: AbortSignal): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve, reject) => {
    kill.throwIfAborted();
    const onKill = () => reject(kill.reason);
    kill.addEventListener('abort', onKill);
    out.write(bytes, (error) => {
      kill.removeEventListener('abort', onKill);
      resolve(error ?? undefined);
    });
  });
}

function lines({ records }: Batch, torn: boolean): Buffer {
  const length = records.reduce((sum, { record }) => sum + record.length + 1, torn ? 1 : 0);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  if (torn) bytes[at++] = newline;
  for (const { record } of records) {
    at += record.copy(bytes, at);
    bytes[at++] = newline;
  }
  return bytes;
}
