import type { Health } from './health.ts';
import type { Answer } from './http.ts';
import { isAlive, readiness } from './readiness.ts';

export interface HttpRoutesOptions {
  readonly health: Health;
  /** The metrics in Prometheus's text format; undefined while they are unavailable. */
  readonly metrics: () => Promise<string | undefined>;
  /** The status page; undefined if it is disabled. */
  readonly page: (() => Answer) | undefined;
}

/** The listener's handlers by path (contract section 5). */
export function httpRoutes({
  health,
  metrics,
  page,
}: HttpRoutesOptions): Record<string, () => Answer | Promise<Answer>> {
  return {
    '/livez': () => (isAlive(health) ? json(200, { alive: true }) : json(503, { alive: false })),
    '/readyz': () => {
      const state = readiness(health);
      return json(state.ready ? 200 : 503, state);
    },
    '/metrics': async () => {
      const text = await metrics();
      if (text === undefined) return json(503, { detail: 'metrics unavailable' });
      // The text format's own content type (Prometheus, "Exposition formats").
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: text };
    },
    ...(page && { '/': page }),
  };
}

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
});
