import { printable } from '../lib/printable.ts';
import type { Logger } from './logger.ts';
import { type Emit, entryOf, type LogLevel, type TelemetryEvent } from './telemetry-event.ts';

/** How often a lasting condition is logged again, milliseconds. */
const reminderMs = 5 * 60_000;
/** Elements of a list that are logged, at most. */
const MAX_ELEMENTS = 20;

interface Condition {
  readonly sinceMs: number;
  lastLoggedMs: number;
  /** How often it was reported since it was last logged. */
  suppressed: number;
}

export interface EmitOptions {
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * One log line per event. A lasting condition is logged when it begins, then every five minutes with the number of
 * suppressed reports (`repeated`), and at its end with its duration (`lastedMs`).
 */
export function createEmit({ logger, now }: EmitOptions): Emit {
  const conditions = new Map<string, Condition>();

  /** How many reports were suppressed before this one; undefined if this one is suppressed too. */
  function due(key: string): number | undefined {
    const known = conditions.get(key);
    const at = now();
    if (known === undefined) {
      conditions.set(key, { sinceMs: at, lastLoggedMs: at, suppressed: 0 });
      return 0;
    }
    if (at - known.lastLoggedMs < reminderMs) {
      known.suppressed += 1;
      return undefined;
    }
    const { suppressed } = known;
    known.lastLoggedMs = at;
    known.suppressed = 0;
    return suppressed;
  }

  /** Ends conditions: how long the longest lasted, and how many reports of all were suppressed. */
  function end(keys: readonly string[]): { lastedMs: number; suppressed: number } | undefined {
    const ended = keys.map((key) => conditions.get(key)).filter((known) => known !== undefined);
    for (const key of keys) conditions.delete(key);
    if (ended.length === 0) return undefined;
    const lastedMs = now() - Math.min(...ended.map(({ sinceMs }) => sinceMs));
    return { lastedMs, suppressed: ended.reduce((sum, { suppressed }) => sum + suppressed, 0) };
  }

  return (event) => {
    const entry = entryOf(event);
    const ended = entry.ends === undefined ? undefined : end(entry.ends(event));
    const condition = entry.lasts?.(event);
    const suppressed = condition === undefined ? (ended?.suppressed ?? 0) : due(condition);
    const own = typeof entry.level === 'function' ? entry.level(event) : entry.level;
    // The end of a condition that was logged is logged too.
    const level = ended !== undefined && isQuiet(own) ? 'info' : own;
    if (suppressed === undefined || !logger.writes(level)) return;
    const counted = {
      ...(suppressed > 0 && { repeated: suppressed }),
      ...(ended !== undefined && { lastedMs: Math.round(ended.lastedMs) }),
    };
    const message = typeof entry.message === 'function' ? entry.message(event) : entry.message;
    logger.log(level, { ...members(event), ...counted }, printable(message, 2000));
  };
}

const isQuiet = (level: LogLevel) => level === 'debug' || level === 'trace';

/** The event as log members: ids as strings, so that they keep every digit; text from outside made printable. */
function members(event: TelemetryEvent): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).map(([key, value]) => [key, loggable(value)]));
}

function loggable(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return printable(value, 1000);
  if (typeof value === 'number') return Math.round(value * 10) / 10;
  return Array.isArray(value) ? value.slice(0, MAX_ELEMENTS).map(loggable) : value;
}
