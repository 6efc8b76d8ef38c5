import type { Batch, Cursor } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import type { Format } from '../format/format.ts';
import type { Verdict } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/** On the wire, not yet known to be safe: `confirmed` tells, and never rejects but with the reason of `kill`. */
export interface Sent {
  readonly kind: 'sent';
  readonly confirmed: Promise<Verdict>;
}

export interface ResumedBatch {
  /** Inclusive id ranges. */
  readonly ranges: readonly (readonly [Cursor, Cursor])[];
  /** Never rejects but with the reason of the sink's closing. */
  readonly confirmed: Promise<Verdict>;
}

/** What a batch may hold; counted on the encoded records. A single record over `maxBytes` travels alone. */
export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** What travels with each record (an envelope) and counts towards `maxBytes` too; default 0. */
  readonly overheadBytes?: number;
}

/** A destination, used by one route. It neither logs failures nor retries: it answers with a verdict. */
export interface Sink extends AsyncDisposable {
  /** Batches that may be sent and not yet confirmed at once: 1, or more where the far side confirms later. */
  readonly window: number;
  readonly limits: BatchLimits;
  /**
   * Sends one batch; the route calls it again only when the last call has resolved. `accepted`: the far side can lose
   * it no more; `sent`: the next may follow, the confirmation comes later. Stopping does not interrupt it, `kill` does.
   * @throws the reason of `kill`
   */
  send(batch: Batch, kill: AbortSignal): Promise<Verdict | Sent>;
  /** Nothing more is coming for now: hastens the outstanding confirmations where that can be done (half-close). */
  finish?(kill: AbortSignal): Promise<void>;
  /**
   * What must be remembered over a restart to ask about batches sent and not confirmed; JSON. The route saves it with
   * the checkpoint, also after each `sent`.
   */
  pendingAcks?(): unknown;
  /**
   * Batches an earlier process sent, taken from `deps.journal`, whose fate may still be learnt. Their ids count as in
   * flight; `accepted` makes them delivered, anything else has them read and sent again.
   */
  readonly resumed?: readonly ResumedBatch[];
  /**
   * Sends one record of the forwarder's own, clearly apart from audit records and always as JSON. May be called while a
   * `send` is under way, and holds up none longer than a record of that size would.
   * @throws the reason of `kill`
   */
  sendStatus(note: StatusRecord, kill: AbortSignal): Promise<Verdict | Sent>;
  /** Goes the way of `send` as far as can be without delivering anything; serves `check`. */
  probe(kill: AbortSignal): Promise<Verdict>;
}

/** What a sink gets from the world around it. */
export interface SinkDeps {
  readonly name: string;
  /** Host name of the tenant. */
  readonly tenant: string;
  readonly version: string;
  readonly format: Format;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** What `Sink.journal` gave in an earlier process, as it stands in the checkpoint. */
  readonly pendingAcks?: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
}
