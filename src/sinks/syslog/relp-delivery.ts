import { sleep } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { Connection } from './connection.ts';
import type { ConnectionFailure } from './failures.ts';
import { type RelpRules, RelpSession } from './relp.ts';

export interface RelpDeliveryRules extends RelpRules {
  readonly open: (kill: AbortSignal) => Promise<Connection | ConnectionFailure>;
}

/** A refused message is offered again, alone, after these waits, milliseconds. */
const offeredAgainMs = [50, 250, 1_000];

/** Delivery with acknowledgement: a record is accepted when the server answered for it. */
export class RelpDelivery {
  readonly #rules: RelpDeliveryRules;
  #session: RelpSession | undefined;

  constructor(rules: RelpDeliveryRules) {
    this.#rules = rules;
  }

  /** @throws the reason of `kill` */
  async send(messages: readonly Buffer[], kill: AbortSignal): Promise<Verdict> {
    kill.throwIfAborted();
    const session = await this.#open(kill);
    if (!(session instanceof RelpSession)) return session.verdict;
    const drop = () => this.#drop();
    kill.addEventListener('abort', drop);
    try {
      const verdict = await deliver(session, messages, kill);
      kill.throwIfAborted();
      return verdict;
    } finally {
      kill.removeEventListener('abort', drop);
    }
  }

  /** Opens a session and closes it again. @throws the reason of `kill` */
  async probe(kill: AbortSignal): Promise<ConnectionFailure | undefined> {
    const session = await openSession(this.#rules, kill);
    if (!(session instanceof RelpSession)) return session;
    await session.close();
    kill.throwIfAborted();
    return undefined;
  }

  /** Without the `close` the server would report a broken session. */
  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #open(kill: AbortSignal): Promise<RelpSession | ConnectionFailure> {
    if (this.#session !== undefined && !this.#session.isOver) return this.#session;
    const opened = await openSession(this.#rules, kill);
    this.#session = opened instanceof RelpSession ? opened : undefined;
    return opened;
  }

  #drop(): void {
    this.#session?.abandon();
    this.#session = undefined;
  }
}

async function openSession(rules: RelpDeliveryRules, kill: AbortSignal): Promise<RelpSession | ConnectionFailure> {
  const wire = await rules.open(kill);
  if (!(wire instanceof Connection)) return wire;
  const drop = () => wire.destroy();
  kill.addEventListener('abort', drop);
  const session = await RelpSession.open(wire, rules);
  kill.removeEventListener('abort', drop);
  kill.throwIfAborted();
  return session;
}

async function deliver(session: RelpSession, messages: readonly Buffer[], kill: AbortSignal): Promise<Verdict> {
  const done = messages.map(() => false);
  for (;;) {
    const open = [...done.keys()].filter((index) => !done[index]);
    const outcome = await transfer(session, messages, open, done);
    if (outcome.fault !== undefined) return { ...outcome.fault.verdict, acceptedPrefix: leading(done) };
    if (outcome.refused === undefined) return accepted;
    const failedIndex = open[outcome.refused.index] ?? 0;
    let answer = outcome.refused.answer;
    for (const waitMs of offeredAgainMs) {
      await sleep(waitMs, kill);
      kill.throwIfAborted();
      const again = await transfer(session, messages, [failedIndex], done);
      if (again.fault !== undefined) return { ...again.fault.verdict, acceptedPrefix: leading(done) };
      if (again.refused === undefined) break;
      answer = again.refused.answer;
    }
    if (!done[failedIndex])
      return {
        kind: 'reject',
        reason: 'malformed',
        detail: `the collector refused it: ${answer}`,
        failedIndex,
        acceptedPrefix: leading(done),
      };
  }
}

/** Sends those of `messages` that `indices` name; marks in `done` what was acknowledged. */
async function transfer(
  session: RelpSession,
  messages: readonly Buffer[],
  indices: readonly number[],
  done: boolean[],
) {
  const outcome = await session.transfer(indices.flatMap((index) => messages[index] ?? []));
  for (const [at, index] of indices.entries()) if (outcome.acknowledged[at]) done[index] = true;
  return outcome;
}

/** How many at the start are acknowledged without a gap. */
function leading(done: readonly boolean[]): number {
  const first = done.indexOf(false);
  return first < 0 ? done.length : first;
}
