import { glob } from '../lib/glob.ts';

/** Globs on the action; `*` matches dots too. */
export interface ActionFilter {
  /** Only these are delivered; all if absent. */
  readonly include?: readonly string[] | undefined;
  /** These are not delivered, even if they are included. */
  readonly exclude?: readonly string[] | undefined;
}

/** Whether an event with this action is delivered. An event without an action has the action ''. */
export function actionFilter(filter: ActionFilter): (action: string) => boolean {
  const include = filter.include?.map(glob);
  const exclude = (filter.exclude ?? []).map(glob);
  if (include === undefined && exclude.length === 0) return () => true;
  return (action) =>
    (include === undefined || include.some((matches) => matches(action))) &&
    !exclude.some((matches) => matches(action));
}
