import { readFileSync } from 'node:fs';

/** What stands under `forwarder` in one of its records. */
export type Told = Readonly<Record<string, unknown>> & { readonly event: string; readonly at: string };

const conf = 'config/splunk/TA_qasphere/default/savedsearches.conf';

/** The forwarder's own records among lines of NDJSON. */
export function toldIn(lines: string): Told[] {
  return lines
    .split('\n')
    .filter((line) => line.startsWith('{"forwarder":'))
    .map((line) => (JSON.parse(line) as { forwarder: Told }).forwarder);
}

/**
 * The state of a feed at `nowMs` by the shipped search: its own `case(…)` over the newest heartbeat. The conditions are
 * written alike in SPL and in JavaScript, but for `true()`.
 */
export function stateOf(told: readonly Told[], nowMs: number): string {
  const cases = /\| eval state=case\((.*)\)$/m.exec(readFileSync(conf, 'utf8'))?.[1];
  const newest = told.filter(({ event }) => event === 'forwarder.heartbeat').at(-1);
  if (cases === undefined || newest === undefined) return 'nothing';
  const parts = cases.split(', ');
  const facts = {
    silent: (nowMs - Date.parse(newest.at)) / 1000,
    every: newest['every_seconds'],
    source: newest['source'],
    clock: newest['clock_difference_seconds'],
    lag: newest['lag_seconds'],
    abs: Math.abs,
  };
  for (let at = 0; at < parts.length; at += 2) {
    const condition = (parts[at] ?? '').replace('true()', 'true');
    if (new Function(...Object.keys(facts), `return ${condition}`)(...Object.values(facts)))
      return JSON.parse(parts[at + 1] ?? '""') as string;
  }
  return 'nothing';
}
