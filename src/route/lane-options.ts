import type { Encoded } from '../core/event.ts';
import type { Observe } from '../core/happening.ts';
import type { Life } from '../core/life.ts';
import type { Notifier } from '../core/notifier.ts';
import type { SetAside } from '../core/verdict.ts';
import type { Sink } from '../sink/sink.ts';

/** What a lane tells its route, and asks of it. */
export interface LaneOptions {
  readonly name: string;
  readonly sink: Sink;
  readonly observe: Observe;
  readonly random: () => number;
  /** A SIGHUP: try now. */
  readonly wake: Notifier;
  /** The sink has confirmed these. */
  readonly delivered: (records: readonly Encoded[]) => void;
  /** Puts one record aside, durably; while the disk refuses, until `life.stop`. */
  readonly setAside: (record: Encoded, verdict: SetAside, life: Life) => Promise<void>;
  /** Whether something is confirmed and not yet durable; nothing new is sent before `commit` made it so. */
  readonly dirty: () => boolean;
  /** While the disk refuses, until `life.stop`. */
  readonly commit: (life: Life) => Promise<void>;
  /** A batch is on the wire: what the sink wants to remember of it may be saved. */
  readonly sent: () => void;
  /** Events refused alone in a row (counted over restarts). */
  readonly refusedInRow: () => number;
}
