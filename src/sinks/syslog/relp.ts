import { Mutex } from '../../lib/mutex.ts';
import { sleep } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { Connection } from './connection.ts';
import type { ConnectionFailure } from './failures.ts';
import { type RelpOptions, RelpSession } from './relp-session.ts';

export interface RelpDeliveryOptions extends RelpOptions {
  /** @throws the reason of `signal` */
  readonly open: (signal: AbortSignal) => Promise<Connection | ConnectionFailure>;
}

/** A refused message is sent again, alone, after these waits, milliseconds. */
const retryWaitsMs = [50, 250, 1_000];

/** Delivery with acknowledgement: a record is accepted once the server has answered for it. */
export class RelpDelivery {
  readonly #options: RelpDeliveryOptions;
  readonly #mutex = new Mutex();
  #session: RelpSession | undefined;

  constructor(options: RelpDeliveryOptions) {
    this.#options = options;
  }

  /** @throws the reason of `signal` */
  send(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict> {
    return this.#mutex.take(async () => {
      signal.throwIfAborted();
      const session = await this.#open(signal);
      if (!(session instanceof RelpSession)) return session.verdict;
      const abort = () => session.abandon();
      signal.addEventListener('abort', abort);
      try {
        const verdict = await deliver(session, messages, signal);
        signal.throwIfAborted();
        return verdict;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    });
  }

  /** Opens a session and closes it again. @throws the reason of `signal` */
  async probe(signal: AbortSignal): Promise<ConnectionFailure | undefined> {
    const session = await openSession(this.#options, signal);
    if (!(session instanceof RelpSession)) return session;
    await session.close();
    signal.throwIfAborted();
    return undefined;
  }

  /** Sends `close`: without it the server would report a broken session. */
  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #open(signal: AbortSignal): Promise<RelpSession | ConnectionFailure> {
    if (this.#session !== undefined && !this.#session.isOver) return this.#session;
    const opened = await openSession(this.#options, signal);
    this.#session = opened instanceof RelpSession ? opened : undefined;
    return opened;
  }
}

async function openSession(
  options: RelpDeliveryOptions,
  signal: AbortSignal,
): Promise<RelpSession | ConnectionFailure> {
  const connection = await options.open(signal);
  if (!(connection instanceof Connection)) return connection;
  const abort = () => connection.destroy();
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  const session = await RelpSession.open(connection, options);
  signal.removeEventListener('abort', abort);
  signal.throwIfAborted();
  return session;
}

/** Every verdict but `accepted` names each record that was acknowledged: none of them is sent again. */
async function deliver(session: RelpSession, messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict> {
  const done = messages.map(() => false);
  for (;;) {
    const pending = [...done.keys()].filter((index) => !done[index]);
    const outcome = await transfer(session, messages, pending, done);
    if (outcome.failure !== undefined) return lost(outcome.failure, done);
    if (outcome.refused === undefined) return accepted;
    const failedIndex = pending[outcome.refused.index] ?? 0;
    let { answer } = outcome.refused;
    for (const waitMs of retryWaitsMs) {
      await sleep(waitMs, signal);
      signal.throwIfAborted();
      const again = await transfer(session, messages, [failedIndex], done);
      if (again.failure !== undefined) return lost(again.failure, done);
      if (again.refused === undefined) break;
      ({ answer } = again.refused);
    }
    if (!done[failedIndex]) {
      const detail = `the collector refused it: ${answer}`;
      return { kind: 'reject', reason: 'malformed', detail, failedIndex, ...acknowledgedOf(done) };
    }
  }
}

function lost({ verdict }: ConnectionFailure, done: readonly boolean[]): Verdict {
  const narrow = verdict.kind === 'retry' && verdict.reason === 'timeout' && !done.includes(true);
  return { ...verdict, ...acknowledgedOf(done), ...(narrow && { narrow }) };
}

/** Sends those of `messages` that `indexes` name; marks in `done` what was acknowledged. */
async function transfer(
  session: RelpSession,
  messages: readonly Buffer[],
  indexes: readonly number[],
  done: boolean[],
) {
  const outcome = await session.transfer(indexes.flatMap((index) => messages[index] ?? []));
  for (const [at, index] of indexes.entries()) if (outcome.acknowledged[at]) done[index] = true;
  return outcome;
}

function acknowledgedOf(done: readonly boolean[]) {
  const gap = done.indexOf(false);
  const acceptedPrefix = gap < 0 ? done.length : gap;
  return { acceptedPrefix, acceptedIndexes: [...done.keys()].filter((index) => index > acceptedPrefix && done[index]) };
}
