import type { Batch, Cursor, Encoded } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import type { Format } from '../format/format.ts';
import type { StrayErrors } from '../lib/stray-errors.ts';
import type { Verdict } from '../lib/verdict.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/** On the wire, not yet known to be safe. */
export interface Sent {
  readonly kind: 'sent';
  /** The last verdict. Rejects only with the reason of `forced`. */
  readonly confirmed: Promise<Verdict>;
}

export interface ResumedBatch {
  /** Inclusive id ranges. */
  readonly ranges: readonly (readonly [Cursor, Cursor])[];
  /** The last verdict. Rejects only with the reason of the sink's closing. */
  readonly confirmed: Promise<Verdict>;
}

/** What a batch may hold, counted on the encoded records. A single record above `maxBytes` is sent alone. */
export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** What is sent with each record (an envelope) and counts towards `maxBytes`; default 0. */
  readonly overheadBytes?: number;
  /** How long a batch that is not full waits for more records, milliseconds; default 0. */
  readonly maxAgeMs?: number;
}

/** A part of an announced batch: inclusive ids without a hole, whose events were received at one time. */
export interface AnnouncedRange {
  readonly from: Cursor;
  readonly to: Cursor;
  /** `AuditEvent.receivedAtMs`: some formats contain it, so the same record needs the same time. */
  readonly receivedAtMs: number;
}

/** Whether a batch of several records is larger than these limits. It may have been composed by earlier ones. */
export function exceeds({ records }: Batch, { maxEvents, maxBytes, overheadBytes = 0 }: BatchLimits): boolean {
  const bytes = records.reduce((sum, { record }) => sum + record.length + overheadBytes, 0);
  return records.length > 1 && (records.length > maxEvents || bytes > maxBytes);
}

/** What an acceptance means, weakest claim first where a sink can't know before it runs. Sealed as evidence. */
export type ProofOfDelivery =
  | 'hec-acknowledged'
  | 'hec-accepted'
  | 'relp'
  | 'tcp'
  | 'udp'
  | 'http'
  | 'fsync'
  | 'object'
  | 'created'
  | 'kafka-all'
  | 'otlp'
  | 'stdout';

/** A destination, used by one pipeline. It neither logs failures nor retries: it returns verdicts. */
export interface Sink extends AsyncDisposable {
  /** How many batches may be sent and not yet confirmed: 1, or more if the destination confirms later. */
  readonly window: number;
  readonly limits: BatchLimits;
  /**
   * Sends one batch. It is called again only when the last call has resolved. `accepted`: the destination can't lose the
   * batch any more. `sent`: the next batch may follow, the confirmation comes later. A graceful stop does not interrupt
   * it, `forced` does. @throws the reason of `forced`
   */
  send(batch: Batch, forced: AbortSignal): Promise<Verdict | Sent>;
  /**
   * Nothing more is sent for now: speeds up pending confirmations if that is possible (half-close, faster polls). After
   * `forced` it may take another second, to receive a confirmation that is reported only once: until it returns, the
   * confirmations of sent and resumed batches still count and have to be saved.
   */
  finish?(forced: AbortSignal): Promise<void>;
  /**
   * What a later process needs to ask about batches that are sent and not confirmed, as JSON. It is saved with the
   * checkpoint, also after each `sent`.
   */
  pendingAcks?(): unknown;
  /**
   * For a destination that recognises a batch only in the same composition (an object whose name is a digest): called before
   * a batch is sent, and what `pendingAcks` then returns is saved before `send` follows.
   */
  announce?(batch: Batch): void;
  /** The batch that an earlier process announced last: it is sent again in this composition. */
  readonly announced?: readonly AnnouncedRange[];
  /**
   * Batches that an earlier process sent, from `deps.pendingAcks`, whose verdict is still to come. Their ids count as in
   * flight. `accepted` makes them delivered; after any other verdict they are read and sent again.
   */
  readonly resumed?: readonly ResumedBatch[];
  /**
   * The bytes of a record as the destination gets them, if the sink may change them (shortening, escapes): seals are made
   * over these. Default: `record`.
   */
  recordOf?(encoded: Encoded): Uint8Array;
  /** What an acceptance means, once that is known better than the options show. */
  readonly proof?: ProofOfDelivery | undefined;
  /**
   * Sends one record about the forwarder itself, clearly separate from audit records and always as JSON. May be called
   * while a `send` runs, and delays it no longer than a record of that size takes. @throws the reason of `forced`
   */
  sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict | Sent>;
  /** Does as much of a `send` as is possible without delivering anything; used by `check`. */
  probe(forced: AbortSignal): Promise<Verdict>;
}

/** What a sink gets from the program. */
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
  /** What `Sink.pendingAcks` returned in an earlier process, as the checkpoint has it. */
  readonly pendingAcks?: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where foreign code that runs in this process has its errors reported. */
  readonly strayErrors?: StrayErrors | undefined;
}
