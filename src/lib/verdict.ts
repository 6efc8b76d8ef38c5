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

/** May pass by itself: ask again. */
export interface Retry {
  readonly kind: 'retry';
  readonly reason: Reason;
  /** One printable line without secrets. */
  readonly detail: string;
  /** The other side's wish (Retry-After), milliseconds. */
  readonly afterMs?: number;
  /** How many leading records of the batch are confirmed all the same; they are not sent again. */
  readonly acceptedPrefix?: number;
}

/** Will not pass until a person acts: the route parks, nothing is set aside or skipped. */
export interface Stop {
  readonly kind: 'stop';
  readonly reason: Reason;
  readonly detail: string;
  readonly acceptedPrefix?: number;
  /** The destination is gone for good (a closed pipe): the route ends instead of parking. */
  readonly permanent?: true;
}

/** Refused for its content: this will never pass as it is. */
export interface Reject {
  readonly kind: 'reject';
  readonly reason: Reason;
  readonly detail: string;
  /** Index in the batch of the record believed guilty: a hint, it is sent alone before it is set aside. */
  readonly failedIndex?: number;
  readonly acceptedPrefix?: number;
}

export interface Accepted {
  readonly kind: 'accepted';
}

/** What a sink says of a batch. Failures we expect are values; a throw is a bug or an abort. */
export type Verdict = Accepted | Retry | Stop | Reject;

export const accepted: Accepted = { kind: 'accepted' };
