import type { ActionRow } from './action-row.ts';
import { cimActions, cimDatasets, ecsTypes, ocsfClasses, outcomes, severities } from './vocabulary.ts';

/** A mistake in the data; `path` leads to it by keys and indices. */
export interface ActionsProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Whether the key or its value is wrong. */
  readonly part: 'key' | 'value';
}

type Report = (message: string, ...path: (string | number)[]) => void;
type Plain = Readonly<Record<string, unknown>>;

const rowKeys = ['match', 'basis', 'category', 'activity', 'outcome', 'severity', 'ocsf', 'ecs', 'cim', 'self'];

/**
 * Checks a user's action table, the parsed content of the file that `actionsFile` names: `{ actions: [row…] }`, with rows as
 * in config/actions.yaml. Ignores `fallback`, which only documents that file. Returns the rows, or all problems at once.
 */
export function readActions(data: unknown): { rows: readonly ActionRow[]; problems: readonly ActionsProblem[] } {
  const problems: ActionsProblem[] = [];
  const report: Report = (message, ...path) => void problems.push({ path, message, part: 'value' });
  const reportKey: Report = (message, ...path) => void problems.push({ path, message, part: 'key' });
  const file = plain(data);
  const actions = file?.['actions'];
  if (file === undefined || !Object.hasOwn(file, 'actions')) report('must hold a list named actions');
  else if (!Array.isArray(actions)) report('must be a list of rows', 'actions');
  if (file === undefined || !Array.isArray(actions)) return { rows: [], problems };
  for (const key of Object.keys(file)) if (key !== 'actions' && key !== 'fallback') reportKey('is not known here', key);
  const rows = actions.map((row: unknown, at: number) =>
    checkRow(
      row,
      (message, ...path) => report(message, 'actions', at, ...path),
      (message, ...path) => reportKey(message, 'actions', at, ...path),
    ),
  );
  return problems.length > 0 ? { rows: [], problems } : { rows: rows as ActionRow[], problems };
}

function checkRow(data: unknown, report: Report, reportKey: Report): unknown {
  const row = plain(data);
  if (row === undefined) return report('must be a row with match, category, activity …');
  for (const key of Object.keys(row))
    if (!rowKeys.includes(key)) reportKey(`is no column; columns are ${rowKeys.join(', ')}`, key);
  if (!isTexts(row['match'])) report('must be a list of globs', 'match');
  for (const key of ['category', 'activity'])
    if (typeof row[key] !== 'string' || !/^[a-z][a-z0-9_]{0,62}$/.test(row[key]))
      report('must be a word of a-z 0-9 _', key);
  oneOf(outcomes, row['outcome'], report, 'outcome');
  oneOf(severities, row['severity'], report, 'severity');
  if (row['basis'] !== undefined) oneOf(['derived', 'guessed'], row['basis'], report, 'basis');
  if (row['self'] !== undefined && typeof row['self'] !== 'boolean') report('must be true or false', 'self');
  checkOcsf(plain(row['ocsf']), report);
  checkEcs(plain(row['ecs']), report);
  if (row['cim'] !== undefined) checkCim(plain(row['cim']), report);
  return row;
}

function checkOcsf(ocsf: Plain | undefined, report: Report) {
  if (ocsf === undefined) return report('must be { class, activity }', 'ocsf');
  oneOf(Object.keys(ocsfClasses), ocsf['class'], report, 'ocsf', 'class');
  const known = Object.entries(ocsfClasses).find(([name]) => name === ocsf['class'])?.[1].activities ?? {};
  const activities = [...Object.keys(known), '0', '99'];
  if (typeof ocsf['activity'] !== 'number' || !activities.includes(String(ocsf['activity'])))
    report(`must be an activity of that class: ${activities.join(', ')}`, 'ocsf', 'activity');
}

function checkEcs(ecs: Plain | undefined, report: Report) {
  if (ecs === undefined) return report('must be { category: […], type: […] }', 'ecs');
  const { category, type } = ecs;
  if (!isTexts(category)) return report('must be a list', 'ecs', 'category');
  for (const [at, name] of category.entries()) oneOf(Object.keys(ecsTypes), name, report, 'ecs', 'category', at);
  if (!isTexts(type)) return report('must be a list', 'ecs', 'type');
  const expected = category.flatMap((name) => (Object.hasOwn(ecsTypes, name) ? (ecsTypes[name] ?? []) : []));
  for (const [at, name] of type.entries()) oneOf(expected, name, report, 'ecs', 'type', at);
}

function checkCim(cim: Plain | undefined, report: Report) {
  if (cim === undefined) return report('must be { model, dataset, action }', 'cim');
  oneOf(Object.keys(cimActions), cim['model'], report, 'cim', 'model');
  const model = String(cim['model']);
  if (cim['action'] !== undefined && Object.hasOwn(cimActions, model))
    oneOf(cimActions[model] ?? [], cim['action'], report, 'cim', 'action');
  if (cim['dataset'] !== undefined) oneOf(cimDatasets, cim['dataset'], report, 'cim', 'dataset');
}

function oneOf(allowed: readonly string[], value: unknown, report: Report, ...path: (string | number)[]): void {
  if (typeof value !== 'string' || !allowed.includes(value)) report(`must be one of ${allowed.join(', ')}`, ...path);
}

const plain = (value: unknown): Plain | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : undefined;

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '');
