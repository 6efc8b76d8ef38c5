import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createActions } from '../../src/format/actions.ts';
import { builtInActions } from '../../src/format/actions-table.ts';
import { configOf, load, problemsOf, withRoot } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { directory, file } = scratch();
const row = `actions:
  - match: [gizmo.exported, "gizmo.*.exported"]
    category: content
    activity: export
    outcome: unknown
    severity: low
    ocsf: { class: api_activity, activity: 2 }
    ecs: { category: [api], type: [access] }
`;
const withTable = (text: string) => withRoot(`actionsFile: ${file('actions.yaml', text)}`);
const problems = (text: string) => problemsOf(load(withTable(text)));
const path = `${directory}/actions.yaml`;

describe('an own table of actions', () => {
  it('is empty if no file is named', () => {
    expect(configOf(load(withRoot())).actions).toEqual([]);
  });

  it('is loaded with the configuration and tried before the built-in rows', () => {
    const { actions } = configOf(load(withTable(row)));
    expect(createActions(actions).meaningOf('gizmo.exported')).toMatchObject({ known: true, severity: 'low' });
    expect(createActions().meaningOf('gizmo.exported').known).toBe(false);
  });

  it('may be a copy of the built-in one', () => {
    const { actions } = configOf(load(withTable(readFileSync('config/actions.yaml', 'utf8'))));
    expect(actions).toEqual(builtInActions);
  });

  it('reports all its mistakes with their places, after those of the configuration', () => {
    const text = row.replace('low', 'lowish').replace('activity: 2', 'activity: 9').replace('outcome', 'result');
    expect(problemsOf(load(`${withTable(text)}shutdownTimeout: 5\nlogs: {}\n`))).toEqual([
      expect.stringMatching(/^c\.yaml:7:18: shutdownTimeout: /),
      expect.stringMatching(/^c\.yaml:8:1: logs: unknown key/),
      `${path}:2:5: actions[0].outcome: must be one of success, failure, unknown`,
      expect.stringMatching(`^${path}:5:5: actions\\[0\\]\\.result: is no column; columns are match, `),
      `${path}:6:15: actions[0].severity: must be one of informational, low, medium, high`,
      expect.stringMatching(`^${path}:7:44: actions\\[0\\]\\.ocsf\\.activity: must be an activity of that class`),
    ]);
  });

  it('reports only syntax errors if its YAML is invalid', () => {
    expect(problems('actions: [a, {')).toEqual([expect.stringMatching(`^${path}:1:\\d+: `)]);
    expect(problems(`${row}    severity: high\n`)).toEqual([
      `${path}:9:5: actions[0].severity: is a duplicate: line 6 has it already`,
    ]);
    expect(problems('')).toEqual([`${path}:1:1: must hold a list named actions`]);
    expect(problems('actions: 5')).toEqual([`${path}:1:10: actions: must be a list of rows`]);
    expect(problems('actions: !!set {}')).toEqual([`${path}:1:16: actions: has a YAML tag, which is not supported`]);
  });

  it('does not replace variables', () => {
    const { actions } = configOf(load(withTable(row.replace('gizmo.exported', '"${GIZMO}"'))));
    expect(actions[0]?.match[0]).toBe('${GIZMO}');
  });

  it('must exist and be readable', () => {
    expect(problemsOf(load(withRoot(`actionsFile: ${directory}/none.yaml`)))).toEqual([
      'c.yaml:6:14: actionsFile: the file does not exist',
    ]);
    expect(problemsOf(load(withRoot('actionsFile: /')))).toEqual(['c.yaml:6:14: actionsFile: the file is a directory']);
    expect(problemsOf(load(withRoot(`actionsFile: ${file('large.yaml', ' '.repeat(2 * 1024 ** 2))}`)))).toEqual([
      'c.yaml:6:14: actionsFile: the file is larger than 1 MiB',
    ]);
  });

  it('is refused if it is not text', () => {
    expect(problemsOf(load(withRoot('actionsFile: 5')))).toEqual(['c.yaml:6:14: actionsFile: must be text']);
    expect(problemsOf(load(withRoot('actionsFile: ""')))).toEqual(['c.yaml:6:14: actionsFile: must not be empty']);
  });
});
