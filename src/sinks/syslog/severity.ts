import { type Actions, createActions } from '../../format/actions.ts';
import { glob } from '../../lib/glob.ts';

/** Severities of RFC 5424 table 2, by name. */
export const severities = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
} as const;
export type SeverityName = keyof typeof severities;

/** Severity by the grade in the table of actions; the formats write the same grades in their own terms. */
const grades = { informational: 'info', low: 'notice', medium: 'warning', high: 'err' } as const;

/** Severity by action: the first glob of `overrides` that matches, else the grade in the table of actions. */
export function severityByAction(
  overrides: Readonly<Record<string, SeverityName>> = {},
  actions: Actions = createActions(),
): (action: string) => number {
  const own = Object.entries(overrides).map(([pattern, name]) => ({ matches: glob(pattern), name }));
  return (action) => {
    const override = own.find(({ matches }) => matches(action));
    return severities[override?.name ?? grades[actions.meaningOf(action).severity]];
  };
}
