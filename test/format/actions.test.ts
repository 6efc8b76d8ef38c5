import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createActions } from '../../src/format/actions.ts';
import { readActions } from '../../src/format/actions-file.ts';
import { builtInActions, fallbackActions } from '../../src/format/actions-table.ts';
import { cimActions, ecsTypes, ocsfClasses } from '../../src/format/vocabulary.ts';
import { canonical } from '../../src/format/words.ts';
import { actionsYaml } from '../support/actions-yaml.ts';
import { ecsSchema } from '../support/schema-data.ts';

const actions = createActions();
const row = {
  match: ['frobnicate*'],
  category: 'machine',
  activity: 'frobnicate',
  outcome: 'unknown',
  severity: 'high',
  ocsf: { class: 'api_activity', activity: 3 },
  ecs: { category: ['configuration'], type: ['change'] },
  cim: { model: 'Change', action: 'modified' },
};

describe('one spelling for an action', () => {
  it('is reached from the many it may have', () => {
    for (const spelling of [
      'user.created',
      'UserCreated',
      'create_user',
      'USER CREATE',
      'users/create',
      'creating-user',
    ])
      expect(canonical(spelling)).toBe('user.create');
    for (const spelling of ['login.failed', 'failed-login', 'log_in failure', 'LoginFailed', 'sign-in.unsuccessful'])
      expect(canonical(spelling)).toBe('login.failure');
    for (const spelling of ['apiKeyRevoked', 'api_keys.revoke', 'API-KEY REVOKED', 'revoke_api_token', 'APIKeyRevoked'])
      expect(canonical(spelling)).toBe('apikey.revoke');
    expect(canonical('2fa_enabled')).toBe('mfa.enable');
    expect(canonical('')).toBe('');
  });

  it('leaves a glob a glob', () => {
    expect(canonical('user.*')).toBe('user.*');
    expect(canonical('create_*')).toBe('*.create');
  });

  it('is linear in a hostile name', () => {
    for (const text of ['A'.repeat(1e6), 'aB'.repeat(5e5), '_'.repeat(1e6), 'é\u0301'.repeat(5e5)])
      expect(canonical(text).length).toBeLessThan(1_000);
  });
});

describe('the table of actions', () => {
  it('holds rows that mean something in each schema', () => {
    expect(readActions({ actions: [...builtInActions, ...fallbackActions] }).problems).toEqual([]);
  });

  it('has no pattern that an earlier row always matches', () => {
    const rules = [...builtInActions, ...fallbackActions];
    for (const [at, rule] of rules.entries())
      for (const pattern of rule.match.filter((text) => !text.includes('*'))) {
        const meaning = actions.meaningOf(pattern);
        expect([pattern, meaning.category, meaning.activity]).toEqual([
          pattern,
          rules[at]?.category,
          rules[at]?.activity,
        ]);
      }
  });

  it('is the same data as config/actions.yaml (npx vitest -u writes it)', async () => {
    await expect(actionsYaml()).toMatchFileSnapshot('../../config/actions.yaml');
    const shipped = parse(readFileSync(new URL('../../config/actions.yaml', import.meta.url), 'utf8')) as unknown;
    expect(shipped).toEqual({ actions: builtInActions, fallback: fallbackActions });
    expect(readActions(shipped).problems).toEqual([]);
  });

  it.skipIf(ecsSchema === undefined)('knows ECS as its schema does (skipped without ../shared/data)', () => {
    for (const [category, types] of Object.entries(ecsTypes))
      expect([...types].sort()).toEqual([...(ecsSchema?.allowed['event.category']?.[category] ?? [])].sort());
  });

  it('maps known actions to their row, and marks them as known', () => {
    const meaning = (action: string) => {
      const { known, category, activity, outcome, severity } = actions.meaningOf(action);
      return [known, category, activity, outcome, severity].join(' ');
    };
    expect(meaning('user.login')).toBe('true authentication logon unknown informational');
    expect(meaning('login_failed')).toBe('true authentication logon failure medium');
    expect(meaning('user.role.updated')).toBe('true permission assign unknown medium');
    expect(meaning('apiKeyCreated')).toBe('true credential create unknown medium');
    expect(meaning('ip_allowlist.updated')).toBe('true configuration security unknown high');
    expect(meaning('sso.update')).toBe('true configuration security unknown high');
    expect(meaning('sso.sync')).toBe('true account sync unknown informational');
    expect(meaning('test_case.deleted')).toBe('true content delete unknown low');
  });

  it('derives a meaning for unknown actions from their words, and marks them as unknown', () => {
    const meaning = (action: string) => {
      const { known, activity, ocsf, title } = actions.meaningOf(action);
      return [known, activity, ocsf.activity, title].join(' ');
    };
    expect(meaning('gizmo.exported')).toBe('false export 2 Gizmo exported');
    expect(meaning('gizmoDeleted')).toBe('false delete 4 Gizmo deleted');
    expect(meaning('invite_gizmo')).toBe('false invite 99 Invite gizmo');
    expect(meaning('gizmo')).toBe('false other 99 Gizmo');
    expect(meaning('')).toBe('false other 99 Event');
  });

  it('does not take a failed test for a failed action', () => {
    expect(actions.meaningOf('test_run.result.failed').outcome).toBe('unknown');
  });

  it('lets a team’s own rows win, by the action as sent or in any spelling', () => {
    const { rows } = readActions({ actions: [{ ...row, match: ['user.created', 'MOVE_gizmo*'] }] });
    const own = createActions(rows);
    expect(own.meaningOf('user.created').category).toBe('machine');
    expect(own.meaningOf('UserCreated').category).toBe('machine');
    expect(own.meaningOf('MOVE_gizmo#7')).toMatchObject({ category: 'machine', known: true });
    expect(own.meaningOf('user.deleted').category).toBe('account');
  });

  it('stays quick and small however many and long the actions are', () => {
    for (let at = 0; at < 5_000; at++) actions.meaningOf(`action${at}`);
    expect(actions.meaningOf('x.'.repeat(500_000)).known).toBe(false);
    expect(actions.meaningOf('user.created').activity).toBe('create');
  });
});

describe('a file of actions', () => {
  const problems = (data: unknown) =>
    readActions(data).problems.map(({ path, message }) => `${path.join('.')}: ${message}`);

  it('returns its rows', () => {
    expect(readActions({ actions: [row] })).toEqual({ rows: [row], problems: [] });
  });

  it('reports all its problems at once, each with its place', () => {
    const bad = {
      ...row,
      match: [],
      category: 'No Word',
      severity: 'severe',
      ocsf: { class: 'api_activity', activity: 7 },
      ecs: { category: ['web'], type: ['creation'] },
      cim: { model: 'Change', action: 'success' },
      colour: 'red',
    };
    expect(problems({ actions: [row, bad], more: 1 })).toEqual([
      'more: is not known here',
      expect.stringMatching(/^actions\.1\.colour: is no column/),
      'actions.1.match: must be a list of globs',
      'actions.1.category: must be a word of a-z 0-9 _',
      'actions.1.severity: must be one of informational, low, medium, high',
      'actions.1.ocsf.activity: must be an activity of that class: 1, 2, 3, 4, 0, 99',
      'actions.1.ecs.type.0: must be one of access, error, info',
      `actions.1.cim.action: must be one of ${cimActions['Change']?.join(', ')}`,
    ]);
    expect(readActions({ actions: [row, bad] }).rows).toEqual([]);
  });

  it('is rejected if it is not a table, whatever it is', () => {
    for (const data of [undefined, null, [], 'x', {}])
      expect(problems(data)).toEqual([': must hold a list named actions']);
    expect(problems({ actions: {} })).toEqual(['actions: must be a list of rows']);
    expect(problems({ actions: [null, 'x'] })).toHaveLength(2);
    expect(problems({ actions: [{}] })).toHaveLength(7);
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const hostile = {
        ...row,
        ocsf: { class: name, activity: 1 },
        ecs: { category: [name], type: ['info'] },
        cim: { model: name, action: 'x' },
      };
      expect(problems({ actions: [hostile] }).length).toBeGreaterThan(2);
    }
    expect(Object.keys(ocsfClasses)).toHaveLength(6);
  });
});
