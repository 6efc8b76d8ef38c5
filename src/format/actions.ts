import { glob } from '../lib/glob.ts';
import type { ActionRow } from './action-row.ts';
import { builtInActions, fallbackActions } from './actions-table.ts';
import { canonical, nounsOf, wordsOf } from './words.ts';

/** The meaning of an action. */
export interface Meaning extends Omit<ActionRow, 'match' | 'basis'> {
  /** False if only the action's words gave it a meaning. Such actions are counted, so that a team sees what to add to its table. */
  readonly known: boolean;
  /** The action in words, for people: `Test case created`. Never empty. */
  readonly title: string;
  /** The words that name the object of the action: `test`, `case`. */
  readonly noun: readonly string[];
}

export interface Actions {
  /** Never fails; an unknown action gets a meaning from its words. */
  meaningOf(action: string): Meaning;
}

/** Cached meanings: a glob is then tried once per action and not once per event. */
const MAX_CACHED = 1_000;
/** Longer actions are not cached, and only their first words are compared: hostile ones cost no more than others. */
const MAX_CACHED_LENGTH = 256;

/** The built-in table, with `own` rows before it; the first row that matches counts. */
export function createActions(own: readonly ActionRow[] = []): Actions {
  const rules = [
    ...[...own, ...builtInActions].map((row) => ({ row, known: true, matches: matcher(row.match) })),
    ...fallbackActions.map((row) => ({ row, known: false, matches: matcher(row.match) })),
  ];
  const meanings = new Map<string, Meaning>();
  const look = (action: string): Meaning => {
    const plain = canonical(action);
    const rule = rules.find(({ matches }) => matches(action, plain)) ?? rules.at(-1);
    if (rule === undefined) throw new Error('the table of actions is empty');
    const { match: _match, basis: _basis, ...row } = rule.row;
    const meaning = { ...row, known: rule.known, title: titleOf(action), noun: nounsOf(action) };
    if (meanings.size >= MAX_CACHED) meanings.clear();
    if (action.length <= MAX_CACHED_LENGTH) meanings.set(action, meaning);
    return meaning;
  };
  return { meaningOf: (action) => meanings.get(action) ?? look(action) };
}

function matcher(patterns: readonly string[]): (action: string, plain: string) => boolean {
  const written = patterns.map(glob);
  const plainly = patterns.map((pattern) => glob(canonical(pattern)));
  return (action, plain) =>
    plainly.some((matches) => matches(plain)) ||
    (action.length <= MAX_CACHED_LENGTH && written.some((matches) => matches(action)));
}

function titleOf(action: string): string {
  const text = wordsOf(action).join(' ').replaceAll('*', '');
  return text === '' ? 'Event' : text.charAt(0).toUpperCase() + text.slice(1);
}
