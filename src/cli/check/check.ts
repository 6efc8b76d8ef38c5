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
  readonly signal: AbortSignal;
  /** Deliver one marked event to each sink. */
  readonly testEvent: boolean;
}

/**
 * Verifies every setting and changes nothing: the state directory first, then the source and the sinks concurrently. Yields
 * the findings in a fixed order, as soon as they are known.
 */
export async function* check(options: CheckOptions): AsyncGenerator<readonly Finding[]> {
  const { config, ctx, signal, testEvent } = options;
  const { findings, cursors, held } = await checkState(config, ctx);
  yield findings;
  const heads = cursors.flatMap(({ state, head }) => (state === 'good' || state === 'fallback' ? [head ?? 0n] : []));
  const head = heads.toSorted((a, b) => (a < b ? -1 : 1)).at(-1) ?? 0n;
  // Slowly beside a running daemon: both use one key and its rate limit.
  const perSecond = held ? Math.min(besidePerSecond, config.source.requestsPerSecond) : config.source.requestsPerSecond;
  const rateLimiter = new RateLimiter(perSecond, () => performance.now());
  const source = checkSource({ config, ctx, rateLimiter, head, readBefore: heads.length > 0, stop: signal });
  const groups = [
    unlessInterrupted('source', signal, source),
    ...config.sinks.map((sink) =>
      unlessInterrupted(sink.name, signal, checkSink(sink, { config, ctx, signal, testEvent })),
    ),
  ];
  for (const group of groups) group.catch(() => {}); // reported when it is yielded
  for (const group of groups) yield await group;
}

/** The findings, or one that says that the check was interrupted. @throws a bug */
async function unlessInterrupted(check: string, signal: AbortSignal, findings: Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await findings;
  } catch (error) {
    if (signal.aborted) return [skipped(check, `interrupted (${printable((error as Error).message)})`)];
    throw error;
  }
}
