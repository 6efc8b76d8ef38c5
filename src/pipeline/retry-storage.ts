import { retryUntilSettled } from '../lib/backoff.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Retry } from '../lib/verdict.ts';
import { StateProblem } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

export interface StorageContext {
  readonly sink: string;
  readonly emit: Emit;
  readonly random: () => number;
}

/**
 * Writes state. If the storage fails, it tries again until `signals.graceful`. `failure` names the write in messages, and
 * `onRetry` gets each of them. @returns whether it is written @throws {Fenced} @throws a bug
 */
export async function retryStorage(
  write: () => Promise<void>,
  failure: string,
  { sink, emit, random }: StorageContext,
  signals: ShutdownSignals,
  onRetry: (detail: string) => void = () => {},
): Promise<boolean> {
  let failedAtMs: number | undefined;
  const attempt = async (): Promise<Retry | { kind: 'written' }> => {
    try {
      await write();
      return { kind: 'written' };
    } catch (error) {
      if (!isStorageError(error)) throw error;
      const detail = `${failure}: ${error.message}`;
      onRetry(detail);
      return { kind: 'retry', reason: 'server', detail };
    }
  };
  const { kind } = await retryUntilSettled(
    attempt,
    {
      firstMs: 500,
      longestMs: 10_000,
      random,
      onRetry: ({ detail }, attempt, waitMs) => {
        failedAtMs ??= performance.now();
        emit({ event: 'checkpoint.retry', sink, detail, attempt, waitMs });
      },
    },
    signals,
  );
  if (kind === 'written' && failedAtMs !== undefined)
    emit({ event: 'checkpoint.recovered', sink, outageMs: Math.round(performance.now() - failedAtMs) });
  return kind === 'written';
}

/** Errors of the file system and of databases carry a code; a bug of ours does not. Being fenced is not temporary. */
function isStorageError(error: unknown): error is Error {
  return error instanceof StateProblem || (error instanceof Error && 'code' in error && typeof error.code === 'string');
}
