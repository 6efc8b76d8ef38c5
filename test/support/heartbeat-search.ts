import { readFileSync } from 'node:fs';

/** The body of a status record. */
export type StatusBody = Readonly<Record<string, unknown>> & { readonly event: string; readonly at: string };

const conf = 'config/splunk/TA_qasphere/default/savedsearches.conf';

/** The bodies of the status records among lines of NDJSON. */
export function statusRecordsIn(lines: string): StatusBody[] {
  return lines
    .split('\n')
    .filter((line) => line.startsWith('{"forwarder":'))
    .map((line) => (JSON.parse(line) as { forwarder: StatusBody }).forwarder);
}

/**
 * The state at `nowMs` according to the shipped Splunk search: its `case(…)` over the newest heartbeat. The conditions read
 * the same in SPL and in JavaScript, except `true()`.
 */
export function stateOf(records: readonly StatusBody[], nowMs: number): string {
  const cases = /\| eval state=case\((.*)\)$/m.exec(readFileSync(conf, 'utf8'))?.[1];
  const newest = records.filter(({ event }) => event === 'forwarder.heartbeat').at(-1);
  if (cases === undefined || newest === undefined) return 'nothing';
  const parts = cases.split(', ');
  const fields = {
    silent: (nowMs - Date.parse(newest.at)) / 1000,
    every: newest['every_seconds'],
    source: newest['source'],
    clock: newest['clock_difference_seconds'],
    lag: newest['lag_seconds'],
    abs: Math.abs,
  };
  for (let at = 0; at < parts.length; at += 2) {
    const condition = (parts[at] ?? '').replace('true()', 'true');
    if (new Function(...Object.keys(fields), `return ${condition}`)(...Object.values(fields)))
      return JSON.parse(parts[at + 1] ?? '""') as string;
  }
  return 'nothing';
}
