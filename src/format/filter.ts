import { glob } from '../lib/glob.ts';

/** Globs on the action. */
export interface ActionFilter {
  /** Only these pass; all where absent. */
  readonly include?: readonly string[] | undefined;
  /** These don't pass, though they be included. */
  readonly exclude?: readonly string[] | undefined;
}

/** Whether an event of this action is delivered. `*` matches dots too; an event without an action has the action ''. */
export function actionFilter(filter: ActionFilter): (action: string) => boolean {
  const include = filter.include?.map(glob);
  const exclude = (filter.exclude ?? []).map(glob);
  if (include === undefined && exclude.length === 0) return () => true;
  return (action) =>
    (include === undefined || include.some((matches) => matches(action))) &&
    !exclude.some((matches) => matches(action));
}
