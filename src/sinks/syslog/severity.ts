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

/** What the grades of the table of actions are in syslog; the formats write the same grades in their own ways. */
const grades = { informational: 'info', low: 'notice', medium: 'warning', high: 'err' } as const;

/** Severity by action: `overrides` (globs, the first that matches) before the table of actions. */
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
