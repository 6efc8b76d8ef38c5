import type { machine } from './figures.ts';
import type { Judgement } from './judgement.ts';
import { groups, type Outcome } from './scenario.ts';
import type { settings } from './settings.ts';
import { table } from './table.ts';

/** All that one bench has measured, as it is stored. */
export interface Result {
  readonly at: string;
  /** Before the first scenario; a load above one core at either end blurs all figures. */
  readonly machine: ReturnType<typeof machine> & { readonly loadAfter: readonly number[] };
  readonly settings: typeof settings;
  readonly seconds: number;
  readonly scenarios: Readonly<Record<string, Outcome & { readonly seconds: number }>>;
}

const outcomes = ({ scenarios }: Result): Outcome[] => Object.values(scenarios);

/** The tables of figures, each under its title. */
export function figureTables(result: Result): { readonly title: string; readonly text: string }[] {
  return Object.entries(groups).flatMap(([name, { title, head }]) => {
    const rows = outcomes(result).flatMap(({ group, rows }) => (group === name ? rows : []));
    return rows.length === 0 ? [] : [{ title, text: table([head, ...rows]) }];
  });
}

export function judgementTable(result: Result): string {
  const judgements: readonly Judgement[] = outcomes(result).flatMap((outcome) => outcome.judgements ?? []);
  if (judgements.length === 0) return '';
  const rows = judgements.map(({ what, wanted, measured, verdict }) => [what, wanted, measured, verdict]);
  return table([['', 'target', 'measured', 'verdict'], ...rows]);
}

export const skippedIn = (result: Result): readonly string[] => outcomes(result).flatMap(({ skipped = [] }) => skipped);

/** Scenarios that could not be measured, with the reason. */
export const failedIn = ({ scenarios }: Result): readonly string[] =>
  Object.entries(scenarios).flatMap(([name, { failed }]) => (failed === undefined ? [] : [`${name}: ${failed}`]));

export function machineText({ machine, settings, at, scenarios }: Result): string {
  const { cpu, cores, system, node, load, loadAfter } = machine;
  const versions = Object.assign({}, ...Object.values(scenarios).map((outcome) => outcome.versions)) as Record<
    string,
    string
  >;
  const others = Object.entries(versions).map(([name, version]) => `, ${name} ${version}`);
  const form = `best of ${settings.rounds}${settings.quick ? ', quick form' : ''}`;
  const loads = `load average over a minute ${load[0]} before and ${loadAfter[0]} after`;
  return `${cores} × ${cpu}, ${system}, Node ${node}${others.join('')}; ${settings.events.toLocaleString('en')} events, ${form}; ${loads}; ${at.slice(0, 10)}.`;
}
