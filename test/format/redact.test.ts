import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventValue } from '../../src/event/event.ts';
import { pathProblem } from '../../src/format/path.ts';
import { redactor } from '../../src/format/redact.ts';
import { Secret } from '../../src/lib/secret.ts';
import { auditEvent } from '../support/audit-events.ts';
import { hostileNames, objectTrees, type Tree, textOf } from '../support/json-texts.ts';

const key = new Secret('pseudonyms');
const hmac = (content: string) => createHmac('sha256', 'pseudonyms').update(content).digest('hex');

/** The plain definition, on a tree that still knows its decoded keys. */
function oracle(tree: Tree, redact: readonly string[][], hash: readonly string[][]): Tree {
  const below = (paths: readonly string[][], name: string) =>
    paths.filter(([first]) => first === '*' || first === name).map((path) => path.slice(1));
  const replaced = (name: string, value: Tree): Tree => {
    const [hidden, hashed] = [below(redact, name), below(hash, name)];
    if (hidden.some((path) => path.length === 0)) return { kind: 'scalar', text: '"[redacted]"' };
    if (!hashed.some((path) => path.length === 0)) return oracle(value, hidden, hashed);
    const text = Buffer.from(textOf(value)).toString();
    const content: unknown = text.startsWith('"') ? JSON.parse(text) : text;
    return { kind: 'scalar', text: `"${hmac(String(content))}"` };
  };
  if (tree.kind === 'array') return { ...tree, items: tree.items.map((item, index) => replaced(String(index), item)) };
  if (tree.kind === 'object')
    return {
      ...tree,
      members: tree.members.map(({ key, value }) => ({ key, value: replaced(JSON.parse(key) as string, value) })),
    };
  return tree;
}

const level = fc.constantFrom('*', ...hostileNames);
const paths = fc.array(fc.array(level, { minLength: 1, maxLength: 4 }), { maxLength: 4 });

describe('redaction', () => {
  it('replaces what the paths name, in text and value, and leaves every other byte', () => {
    fc.assert(
      fc.property(objectTrees(), paths, paths, (tree, redact, hash) => {
        const before = Buffer.from(textOf(tree));
        const event = auditEvent(before);
        const shown = redactor(
          redact.map((path) => path.join('.')),
          { paths: hash.map((path) => path.join('.')), key },
        )(event);
        const expected = Buffer.from(textOf(oracle(tree, redact, hash)));
        expect(shown.text.toString('latin1')).toBe(expected.toString('latin1'));
        expect(eventValue(shown)).toEqual(JSON.parse(expected.toString()));
        expect(event.text.equals(Buffer.from(textOf(tree)))).toBe(true);
        if (expected.equals(before)) expect(shown).toBe(event);
      }),
      { numRuns: 5_000 },
    );
  });

  it('returns the same event if nothing matches', () => {
    const event = auditEvent('{"id":1,"user":null,"meta":{"a":[1,{"b":2}]}}');
    expect(redactor([])(event)).toBe(event);
    expect(redactor(['user.email', 'meta.token', 'meta.a.*.c', 'meta.a.7'], { paths: ['ip'], key })(event)).toBe(event);
  });

  it('compares keys decoded and reaches every occurrence of a doubled one', () => {
    const event = auditEvent('{"meta":{"tok\\u0065n":"a","token" : 9007199254740993},"meta":{"token":{"x":1}}}');
    expect(redactor(['meta.token'])(event).text.toString()).toBe(
      '{"meta":{"tok\\u0065n":"[redacted]","token" : "[redacted]"},"meta":{"token":"[redacted]"}}',
    );
  });

  it('matches one level with a star, array elements included', () => {
    const event = auditEvent('{"meta":{"token":1,"a":{"token":2,"b":{"token":3}},"list":[{"token":4},[5]]}}');
    expect(redactor(['meta.*.token', 'meta.list.1.*'])(event).text.toString()).toBe(
      '{"meta":{"token":1,"a":{"token":"[redacted]","b":{"token":3}},"list":[{"token":4},["[redacted]"]]}}',
    );
  });

  it('reaches keys with dots and stars through a backslash', () => {
    const event = auditEvent('{"meta":{"a.b":1,"a":{"b":2},"*":3,"\\\\":4}}');
    expect(redactor(['meta.a\\.b', 'meta.\\*', 'meta.\\\\'])(event).text.toString()).toBe(
      '{"meta":{"a.b":"[redacted]","a":{"b":2},"*":"[redacted]","\\\\":"[redacted]"}}',
    );
  });

  it('makes equal pseudonyms of equal content, however it is written, and others under another key', () => {
    const hashed = (text: string, secret = key) =>
      eventValue(redactor([], { paths: ['user.email', 'user.id'], key: secret })(auditEvent(text)))['user'];
    expect(hashed('{"user":{"email":"ann@acme.test"}}')).toEqual({ email: hmac('ann@acme.test') });
    expect(hashed('{"user":{"email":"\\u0061nn@acme.test"}}')).toEqual({ email: hmac('ann@acme.test') });
    expect(hashed('{"user":{"id":9007199254740993}}')).toEqual({ id: hmac('9007199254740993') });
    expect(hashed('{"user":{"email":"ann@acme.test"}}', new Secret('other'))).not.toEqual({
      email: hmac('ann@acme.test'),
    });
  });

  it('lets redaction win over hashing, and the shorter path over the longer', () => {
    const event = auditEvent('{"user":{"email":"a","name":"b"},"meta":{"token":{"a":1}}}');
    const shown = redactor(['user.email', 'meta.token.a'], { paths: ['user.email', 'user.name', 'meta.token'], key });
    expect(eventValue(shown(event))).toEqual({
      user: { email: '[redacted]', name: hmac('b') },
      meta: { token: hmac('{"a":1}') },
    });
  });

  it('uses no stack for nesting', () => {
    const deep = `${'{"a":['.repeat(100_000)}1${']}'.repeat(100_000)}`;
    const event = auditEvent(`{"meta":{"deep":${deep},"token":"x"}}`);
    expect(redactor(['meta.token', 'meta.*.a.0.b'])(event).text.toString()).toBe(
      `{"meta":{"deep":${deep},"token":"[redacted]"}}`,
    );
    expect(redactor(['meta.deep'])(event).text.toString()).toBe('{"meta":{"deep":"[redacted]","token":"x"}}');
  });

  it('says which paths would redact the id or all', () => {
    expect(['user.email', 'meta.*', '*.token', 'ids'].map(pathProblem)).toEqual(Array(4).fill(undefined));
    expect(['', '*', 'id'].map((path) => typeof pathProblem(path))).toEqual(Array(3).fill('string'));
  });
});
