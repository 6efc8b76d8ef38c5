import { glob } from '../lib/glob.ts';
import type { ActionRow } from './action-row.ts';
import { builtInActions, fallbackActions } from './actions-table.ts';
import { canonical, nounsOf, wordsOf } from './words.ts';

/** What an action means. */
export interface Meaning extends Omit<ActionRow, 'match' | 'basis'> {
  /** False where only the action's words gave it a meaning: counted, so that a team sees what to add to its table. */
  readonly known: boolean;
  /** The action in words, for people: `Test case created`. Never empty. */
  readonly title: string;
  /** Words of what was acted upon: `test`, `case`. */
  readonly noun: readonly string[];
}

export interface Actions {
  /** Never fails; an action nobody knows gets a meaning from its words. */
  meaningOf(action: string): Meaning;
}

/** Meanings kept, so that a glob is tried once an action and not once an event. */
const kept = 1_000;
/** Longer actions are not kept, and compared by their first words alone: hostile ones cost no more than others. */
const longestKept = 256;

/** The built-in table with `own` rows before it; the first row that matches counts. */
export function createActions(own: readonly ActionRow[] = []): Actions {
  const rules = [
    ...[...own, ...builtInActions].map((row) => ({ row, known: true, matches: matcher(row.match) })),
    ...fallbackActions.map((row) => ({ row, known: false, matches: matcher(row.match) })),
  ];
  const meanings = new Map<string, Meaning>();
  // Apart, for a function with another in it makes an object at each call.
  const look = (action: string): Meaning => {
    const plain = canonical(action);
    const rule = rules.find(({ matches }) => matches(action, plain)) ?? rules.at(-1);
    if (rule === undefined) throw new Error('the table of actions is empty');
    const { match: _match, basis: _basis, ...row } = rule.row;
    const meaning = { ...row, known: rule.known, title: titleOf(action), noun: nounsOf(action) };
    if (meanings.size >= kept) meanings.clear();
    if (action.length <= longestKept) meanings.set(action, meaning);
    return meaning;
  };
  return { meaningOf: (action) => meanings.get(action) ?? look(action) };
}

function matcher(patterns: readonly string[]): (action: string, plain: string) => boolean {
  const written = patterns.map(glob);
  const plainly = patterns.map((pattern) => glob(canonical(pattern)));
  return (action, plain) =>
    plainly.some((matches) => matches(plain)) ||
    (action.length <= longestKept && written.some((matches) => matches(action)));
}

function titleOf(action: string): string {
  const text = wordsOf(action).join(' ').replaceAll('*', '');
  return text === '' ? 'Event' : text.charAt(0).toUpperCase() + text.slice(1);
}
