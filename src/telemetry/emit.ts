import { printable } from '../lib/printable.ts';
import { type Described, describe } from './catalog.ts';
import type { Logger } from './logger.ts';
import type { Emit, TelemetryEvent } from './telemetry-event.ts';

/** How often a condition that lasts is told again, milliseconds. */
const reminderMs = 5 * 60_000;
/** Members of a list that are shown. */
const mostShown = 20;

interface Lasting {
  readonly sinceMs: number;
  lastToldMs: number;
  /** How often it showed since it was last told. */
  untold: number;
}

export interface EmitOptions {
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * One happening, one log line. What lasts is told first, then every five minutes with the count of what was left out
 * (`repeated`), and at its end with how long it lasted (`lastedMs`).
 */
export function createEmit({ logger, now }: EmitOptions): Emit {
  const lasting = new Map<string, Lasting>();

  /** How many were left out before this one, or undefined where this one is left out too. */
  function due(key: string): number | undefined {
    const known = lasting.get(key);
    const at = now();
    if (known === undefined) {
      lasting.set(key, { sinceMs: at, lastToldMs: at, untold: 0 });
      return 0;
    }
    if (at - known.lastToldMs < reminderMs) {
      known.untold += 1;
      return undefined;
    }
    const { untold } = known;
    known.lastToldMs = at;
    known.untold = 0;
    return untold;
  }

  /** Takes the conditions that are over: how long the longest lasted, and what was left out of all. */
  function over(keys: readonly string[]): { lastedMs: number; untold: number } | undefined {
    const ended = keys.map((key) => lasting.get(key)).filter((known) => known !== undefined);
    for (const key of keys) lasting.delete(key);
    if (ended.length === 0) return undefined;
    const lastedMs = now() - Math.min(...ended.map(({ sinceMs }) => sinceMs));
    return { lastedMs, untold: ended.reduce((sum, { untold }) => sum + untold, 0) };
  }

  return (happening) => {
    const { level, message, lasts, ends } = describe(happening);
    const ended = ends === undefined ? undefined : over(ends);
    const left = lasts === undefined ? (ended?.untold ?? 0) : due(lasts);
    // What was told loud enough to be seen has an end that is seen as well.
    const loudness = ended !== undefined && isQuiet(level) ? 'info' : level;
    if (left === undefined || !logger.writes(loudness)) return;
    const counted = {
      ...(left > 0 && { repeated: left }),
      ...(ended !== undefined && { lastedMs: Math.round(ended.lastedMs) }),
    };
    logger.log(loudness, { ...members(happening), ...counted }, printable(message, 2000));
  };
}

const isQuiet = (level: Described['level']) => level === 'debug' || level === 'trace';

/** The happening as log members: ids as strings, so that no digit is lost; text from outside fit to be shown. */
function members(happening: TelemetryEvent): Record<string, unknown> {
  return Object.fromEntries(Object.entries(happening).map(([key, value]) => [key, shown(value)]));
}

function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return printable(value, 1000);
  if (typeof value === 'number') return Math.round(value * 10) / 10;
  return Array.isArray(value) ? value.slice(0, mostShown).map(shown) : value;
}
