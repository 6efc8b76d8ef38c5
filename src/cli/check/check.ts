import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type Finding, skipped } from '../../lib/finding.ts';
import { printable } from '../../lib/printable.ts';
import { RateLimiter } from '../../source/rate-limiter.ts';
import { besidePerSecond } from '../command-rate-limit.ts';
import { checkSink } from './sinks.ts';
import { checkSource } from './source.ts';
import { checkState } from './state.ts';

export interface CheckOptions {
  readonly config: Config;
  readonly ctx: Context;
  readonly stop: AbortSignal;
  /** Deliver one marked event to each sink. */
  readonly testEvent: boolean;
}

/**
 * Tries every promise of the configuration, and moves nothing: the state directory first, then the source and the sinks
 * side by side; the findings come in a fixed order, as soon as they are known.
 */
export async function* check(options: CheckOptions): AsyncGenerator<readonly Finding[]> {
  const { config, ctx, stop } = options;
  const { findings, cursors, held } = await checkState(config, ctx);
  yield findings;
  const heads = cursors.flatMap(({ state, head }) => (state === 'good' || state === 'fallback' ? [head ?? 0n] : []));
  const head = heads.toSorted((a, b) => (a < b ? -1 : 1)).at(-1) ?? 0n;
  // Beside a daemon slowly: both use one key.
  const perSecond = held ? Math.min(besidePerSecond, config.source.requestsPerSecond) : config.source.requestsPerSecond;
  const rateLimiter = new RateLimiter(perSecond, () => performance.now());
  const source = checkSource({ config, ctx, rateLimiter, head, readBefore: heads.length > 0, stop });
  const groups = [
    whole('source', stop, source),
    ...config.sinks.map((sink) =>
      whole(sink.name, stop, checkSink(sink, { config, ctx, signal: stop, testEvent: options.testEvent })),
    ),
  ];
  for (const group of groups) group.catch(() => {}); // seen when its turn comes
  for (const group of groups) yield await group;
}

/** What was broken off says so. @throws a bug */
async function whole(check: string, stop: AbortSignal, findings: Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await findings;
  } catch (error) {
    if (stop.aborted) return [skipped(check, `interrupted (${printable((error as Error).message)})`)];
    throw error;
  }
}
