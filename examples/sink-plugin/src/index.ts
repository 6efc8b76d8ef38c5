import { access, appendFile, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { defineSink, type Sink, type Verdict } from 'qasphere-siem-forwarder/sink';
import * as z from 'zod';

const options = z.strictObject({ path: z.string().min(1) });

/** Appends each record to a file, one a line. Accepted means written and synced. */
export default defineSink({
  meta: { name: 'lines', version: '0.1.0' },
  options,
  confirmWithin: 10_000,
  open({ path }): Sink {
    const append = async (records: readonly Uint8Array[], signal: AbortSignal): Promise<Verdict> => {
      signal.throwIfAborted();
      try {
        const newline = new Uint8Array([10]);
        await appendFile(path, Buffer.concat(records.flatMap((record) => [record, newline])), { flush: true });
        return { kind: 'accepted' };
      } catch (error) {
        return { kind: 'retry', reason: 'server', detail: `${path} can't be written: ${(error as Error).message}` };
      }
    };
    return {
      window: 1,
      limits: { maxEvents: 1000, maxBytes: 1024 ** 2 },
      send: ({ records }, signal) =>
        append(
          records.map(({ record }) => record),
          signal,
        ),
      sendStatus: ({ record }, signal) => append([record], signal),
      async probe() {
        try {
          await access(dirname(path), constants.W_OK);
          return { kind: 'accepted' };
        } catch {
          return { kind: 'stop', reason: 'address', detail: `the folder of ${path} can't be written` };
        }
      },
      async [Symbol.asyncDispose]() {},
    };
  },
});
