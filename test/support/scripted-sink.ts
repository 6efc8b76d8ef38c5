import type { Batch, Encoded } from '../../src/event/event.ts';
import type { StatusRecord } from '../../src/event/status-record.ts';
import { accepted, type Verdict } from '../../src/lib/verdict.ts';
import type { ResumedBatch, Sent, Sink } from '../../src/sinks/sink.ts';

/** Does not answer until it is aborted. */
export const freeze = (kill: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    kill.addEventListener('abort', () => reject(kill.reason), { once: true });
  });

/** A sink that answers as the test decides, and records what it accepted. */
export class ScriptedSink implements Sink {
  readonly window: number;
  readonly limits = { maxEvents: 10, maxBytes: 1_000_000 };
  /** Ids in the order in which they were accepted. */
  readonly taken: bigint[] = [];
  readonly sends: bigint[][] = [];
  /** The answer to a batch; default: accepted. */
  answer: (batch: Batch, attempt: number, kill: AbortSignal) => Verdict | Sent | Promise<Verdict | Sent> = (batch) =>
    this.take(batch.records);
  resumed?: readonly ResumedBatch[];
  finished = 0;
  closed = 0;

  constructor(window = 1) {
    this.window = window;
  }

  take(records: readonly Encoded[]): Verdict {
    this.taken.push(...records.map(({ event }) => event.id));
    return accepted;
  }

  async send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent> {
    this.sends.push(batch.records.map(({ event }) => event.id));
    return this.answer(batch, this.sends.length, kill);
  }
  /** Status records that it was sent. */
  readonly statusRecords: StatusRecord[] = [];
  onStatus: (note: StatusRecord) => Verdict | Sent | Promise<Verdict | Sent> = () => accepted;

  async sendStatus(note: StatusRecord): Promise<Verdict | Sent> {
    const verdict = await this.onStatus(note);
    if (verdict.kind === 'accepted') this.statusRecords.push(note);
    return verdict;
  }
  async finish(): Promise<void> {
    this.finished += 1;
  }
  async probe(): Promise<Verdict> {
    return accepted;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed += 1;
  }
}
