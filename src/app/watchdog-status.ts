import type { Health } from '../telemetry/health.ts';
import { isAlive } from '../telemetry/readiness.ts';
import { type Status, status } from '../telemetry/status.ts';
import type { WatchdogStatus } from './sd-notify.ts';

/** What systemd is told, out of what the happenings add up to. */
export function watchdogStatusOf(health: Health): WatchdogStatus {
  return { isAlive: () => isAlive(health), status: () => statusLine(status(health)) };
}

/** For example `splunk at 4711, lag 0 s; siem at 4700, lag 75 s: connection refused`. */
export function statusLine({ source, sinks, reasons }: Status): string {
  const parts = sinks.map(({ name, cursor, lagSeconds, lastError }) => {
    const place = cursor === undefined ? 'not started' : `at ${cursor}, lag ${Math.round(lagSeconds)} s`;
    return `${name} ${place}${lastError === undefined ? '' : `: ${lastError.detail}`}`;
  });
  // Once polls fail, that explains all the rest.
  const silent = source.lastError?.detail ?? (source.lastPoll === undefined ? reasons[0]?.detail : undefined);
  return (silent === undefined ? parts : [silent, ...parts]).join('; ');
}
