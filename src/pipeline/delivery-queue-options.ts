import type { Encoded } from '../event/event.ts';
import type { Notifier } from '../lib/notifier.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Reject } from '../lib/verdict.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/** What a lane tells its route, and asks of it. */
export interface DeliveryQueueOptions {
  readonly name: string;
  readonly sink: Sink;
  readonly emit: Emit;
  readonly random: () => number;
  /** A SIGHUP: try now. */
  readonly wake: Notifier;
  /** The sink has confirmed these. */
  readonly delivered: (records: readonly Encoded[]) => void;
  /** Puts one record aside, durably; while the disk refuses, until `signals.graceful`. */
  readonly setAside: (record: Encoded, verdict: Reject, signals: ShutdownSignals) => Promise<void>;
  /** Whether something is confirmed and not yet durable; nothing new is sent before `commit` made it so. */
  readonly dirty: () => boolean;
  /** While the disk refuses, until `signals.graceful`. */
  readonly commit: (signals: ShutdownSignals) => Promise<void>;
  /** A batch is on the wire: what the sink wants to remember of it may be saved. */
  readonly sent: () => void;
  /** Events refused alone in a row (counted over restarts). */
  readonly refusedInRow: () => number;
}
