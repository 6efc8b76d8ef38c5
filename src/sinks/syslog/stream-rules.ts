import type { Connection } from './connection.ts';
import type { ConnectionFailure } from './failures.ts';

export interface StreamRules {
  /** `doubtful`: the first connection, or the one before did not end well. @throws the reason of `kill` */
  readonly open: (kill: AbortSignal, doubtful: boolean) => Promise<Connection | ConnectionFailure>;
  readonly where: string;
  /** One of ten steps towards confirmation, milliseconds: written and no close for ten of them is accepted. */
  readonly stepMs: number;
  /** How long a half-closed peer may take for its own close, milliseconds. */
  readonly closeWaitMs: number;
  /** How long a connection must last to prove that the collector which closed the one before goes on, milliseconds. */
  readonly proofMs: number;
  /** Most bytes and batches written and not confirmed. */
  readonly maxUnconfirmedBytes: number;
  readonly maxUnconfirmedBatches: number;
  /** How long the other side's TCP may acknowledge nothing of what it owes, milliseconds. */
  readonly timeoutMs: number;
}

export const streamDefaults = {
  stepMs: 1_000,
  closeWaitMs: 3_000,
  // A program that ends may close what it listens on so much later than its connections.
  proofMs: 5,
  maxUnconfirmedBytes: 2 * 1024 ** 2,
  maxUnconfirmedBatches: 256,
} as const;
