import type { Verdict } from '../../lib/verdict.ts';
import type { PollInterval } from './ack-poller.ts';
import type { Owner } from './pending-acks.ts';
import type { Requests } from './requests.ts';

export interface AckOptions {
  readonly requests: Requests;
  readonly owner: () => Owner;
  readonly ackTimeoutMs: number;
  readonly pace: PollInterval;
  /** Milliseconds since the epoch; and on a clock that nobody sets. */
  readonly now: () => number;
  readonly elapsed: () => number;
  readonly warn: (detail: string) => void;
  /**
   * The endpoint refuses; nothing new may go before it was asked again. Gives what open batches get where the token has
   * no acknowledgement at all (code 14).
   */
  readonly refused: (refusal: Verdict) => Verdict;
  readonly journal: unknown;
}
