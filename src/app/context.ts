import type { Notifier } from '../lib/notifier.ts';
import type { StrayErrors } from '../lib/stray-errors.ts';
import type { SchemaDrift } from '../source/schema-drift.ts';
import type { Heartbeats } from '../telemetry/heartbeat/heartbeats.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/** What every part gets from outside: nothing in src reads clock, randomness or environment by itself. */
export interface Context {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly emit: Emit;
  /** How many log lines were dropped since the start. */
  readonly droppedLogLines?: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** The forwarder's own records, sent to the sinks beside the audit records. */
  readonly heartbeats?: Heartbeats;
  /** Names that the API was seen to add or leave out; each is reported once for this value. */
  readonly schemaDrift?: SchemaDrift;
  /** Notified at a SIGHUP: whatever waits tries at once. */
  readonly wake: Notifier;
  /** Where foreign code that runs in this process has its errors reported. */
  readonly strayErrors?: StrayErrors;
}
