/** Why a delivery or a request did not succeed; a metric label, so a closed set. */
export const reasons = [
  'network',
  'timeout',
  'throttled',
  'server',
  'auth',
  'address',
  'malformed',
  'too_large',
] as const;

export type Reason = (typeof reasons)[number];

/** What the destination confirmed of a batch although the verdict on the whole is not `accepted`. None of it is sent again. */
interface PartlyAccepted {
  /** How many leading records are confirmed. */
  readonly acceptedPrefix?: number;
  /** Indexes of further records that are confirmed, in any order; an index outside the batch is ignored. */
  readonly acceptedIndexes?: readonly number[];
}

/** A temporary failure: send again. */
export interface Retry extends PartlyAccepted {
  readonly kind: 'retry';
  readonly reason: Reason;
  /** One printable line without secrets. */
  readonly detail: string;
  /** The wait that the destination asks for (Retry-After), milliseconds. */
  readonly afterMs?: number;
  /**
   * The batch may be too large for the connection (a timed-out request, a large request that was reset without an answer):
   * the next attempt carries half as many records, down to one; batches grow again after successes.
   */
  readonly narrow?: true;
}

/** Will not pass until a person acts: the pipeline parks; nothing is dead-lettered or skipped. */
export interface Stop extends PartlyAccepted {
  readonly kind: 'stop';
  readonly reason: Reason;
  readonly detail: string;
  /** The destination is gone for good (a closed pipe): the pipeline ends instead of parking. */
  readonly permanent?: true;
}

/** Refused for its content: it will never pass as it is. */
export interface Reject extends PartlyAccepted {
  readonly kind: 'reject';
  readonly reason: Reason;
  readonly detail: string;
  /**
   * Index in the batch of the record that is believed to be the cause. It is a hint: that record is sent alone before it is
   * dead-lettered. Without it a batch of several is bisected until the cause stands alone.
   */
  readonly failedIndex?: number;
}

export interface Accepted {
  readonly kind: 'accepted';
}

/** What a destination answers to a batch. Expected failures are values; a throw is a bug or an abort. */
export type Verdict = Accepted | Retry | Stop | Reject;

export const accepted: Accepted = { kind: 'accepted' };
