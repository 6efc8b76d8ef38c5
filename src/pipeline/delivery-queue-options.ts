import type { Encoded } from '../event/event.ts';
import type { Notifier } from '../lib/notifier.ts';
import type { Life } from '../lib/shutdown.ts';
import type { SetAside } from '../lib/verdict.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';

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
