import type { Happening, Observe } from '../core/happening.ts';
import { printable } from '../core/printable.ts';
import { describe } from './describe.ts';
import type { Logger } from './logger.ts';

/** How often a condition that lasts is told again, milliseconds. */
const reminderMs = 5 * 60_000;

interface Lasting {
  lastToldMs: number;
  untold: number;
}

export interface ObserveOptions {
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * One happening, one log line. What lasts is told first, then every five minutes with the count of what was left out;
 * its end has an event of its own.
 */
export function createObserve({ logger, now }: ObserveOptions): Observe {
  const lasting = new Map<string, Lasting>();

  /** How many were left out before this one, or undefined where this one is left out too. */
  function due(key: string): number | undefined {
    const known = lasting.get(key);
    const at = now();
    if (known === undefined) {
      lasting.set(key, { lastToldMs: at, untold: 0 });
      return 0;
    }
    if (at - known.lastToldMs < reminderMs) {
      known.untold += 1;
      return undefined;
    }
    const { untold } = known;
    lasting.set(key, { lastToldMs: at, untold: 0 });
    return untold;
  }

  return (happening) => {
    const { level, message, lasts, ends } = describe(happening);
    for (const key of ends ?? []) lasting.delete(key);
    const left = lasts === undefined ? 0 : due(lasts);
    if (left === undefined) return;
    logger.log(level, { ...members(happening), ...(left > 0 && { repeated: left }) }, message);
  };
}

/** The happening as log members: ids as strings, so that no digit is lost; text from outside fit to be shown. */
function members(happening: Happening): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(happening)) {
    if (typeof value === 'bigint') shown[key] = String(value);
    else if (typeof value === 'string') shown[key] = printable(value, 1000);
    else if (typeof value === 'number') shown[key] = Math.round(value * 10) / 10;
    else shown[key] = value;
  }
  return shown;
}
