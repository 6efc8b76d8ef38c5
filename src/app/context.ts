import type { Notifier } from '../lib/notifier.ts';
import type { SchemaDrift } from '../source/schema-drift.ts';
import type { Heartbeats } from '../telemetry/heartbeat/heartbeats.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';

/** What the parts get from the world around them. */
export interface Context {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Records of the forwarder's own, beside the routes. */
  readonly heartbeats?: Heartbeats;
  /** What was told of the API's drift in this start; where absent, of its own. */
  readonly drift?: SchemaDrift;
  /** A SIGHUP: whoever waits tries now. */
  readonly wake: Notifier;
}
