import { describe, expect, it } from 'vitest';
import { createActions } from '../../src/format/actions.ts';
import { builtInActions } from '../../src/format/actions-table.ts';
import { createFormat, formatNames } from '../../src/format/formats.ts';
import { auditEvent } from '../support/audit-events.ts';

const context = { tenant: 'acme.eu1.qasphere.com', version: '1.2.3' };
const formats = formatNames.map((name) => createFormat(name, {}, context));
const mapped = formats.filter(({ name }) => name !== 'json');

describe('every format', () => {
  it('is listed once, under its own name, and says whether it is JSON', () => {
    expect(formats.map(({ name, json }) => [name, json])).toEqual([
      ['json', true],
      ['cef', false],
      ['leef', false],
      ['ecs', true],
      ['ocsf', true],
    ]);
  });

  it('uses no stack for nesting, wherever it is', () => {
    const deep = `${'{"a":['.repeat(100_000)}1.0${']}'.repeat(100_000)}`;
    for (const text of [
      `{"id":1,"meta":${deep}}`,
      `{"id":1,"x":${deep}}`,
      `{"id":1,"user":${deep},"meta":{"user":${deep}}}`,
    ])
      for (const format of formats) {
        const record = format.encode(auditEvent(text)).toString();
        if (format.name !== 'cef') expect(record).toContain(deep.slice(0, 1_000));
        if (format.json) expect(() => JSON.parse(record)).not.toThrow();
      }
  });

  it('carries hostile keys as they came in', () => {
    const keys = ['__proto__', 'constructor', 'toString', '', 'a.b', 'tok\\u0065n', '\\ud800'];
    const object = `{${keys.map((key, at) => `"${key}":${at}.0`).join(',')}}`;
    const event = auditEvent(`{"id":1,"action":"__proto__","meta":${object},${object.slice(1, -1)}}`);
    for (const format of formats) {
      const record = format.encode(event).toString();
      const written = format.name === 'cef' ? object.replaceAll('\\', '\\\\') : object;
      expect(record.split(written.slice(1, -1))).toHaveLength(3);
    }
    expect(({} as Record<string, unknown>)['a.b']).toBeUndefined();
  });

  it('rewrites no number', () => {
    const meta = '{"a":-0,"b":1e3,"c":1.0,"d":9007199254740993,"e":123456789012345678901234567890}';
    const event = auditEvent(
      `{"id":9007199254740993,"user":{"id":9007199254740995},"meta":${meta}}`,
      9007199254740993n,
    );
    for (const format of formats) {
      const record = format.encode(event).toString();
      expect(record).toContain(meta);
      expect(record).toContain('9007199254740993');
      expect(record).toContain('9007199254740995');
    }
  });

  it('carries the tenant, the id and the action', () => {
    const event = auditEvent('{"id":77,"action":"user.login"}', 77n);
    for (const format of [createFormat('json', { envelope: true }, context), ...mapped]) {
      const record = format.encode(event).toString();
      for (const part of [context.tenant, '77', 'user.login']) expect(record).toContain(part);
    }
  });

  it('writes valid UTF-8 though the API did not, but for json, which changes nothing', () => {
    const text = Buffer.concat([Buffer.from('{"id":1,"userAgent":"'), Buffer.from([0xff, 0xc3]), Buffer.from('","x":"'), Buffer.from([0xe2, 0x80]), Buffer.from('"}')]); // biome-ignore format: bytes
    const event = auditEvent(text);
    for (const format of mapped)
      expect(() => new TextDecoder('utf-8', { fatal: true }).decode(format.encode(event))).not.toThrow();
    expect(createFormat('json', {}, context).encode(event).equals(text)).toBe(true);
  });

  it('makes a record of the emptiest event', () => {
    for (const format of formats) expect(format.encode(auditEvent('{}')).length).toBeGreaterThan(1);
  });

  it('uses the action table that it is given', () => {
    const [row] = builtInActions;
    if (row === undefined) throw new Error('no rows');
    const actions = createActions([{ ...row, match: ['frobnicate'], category: 'own_category', severity: 'high' }]);
    const event = auditEvent('{"id":1,"action":"frobnicate"}');
    const record = createFormat('cef', { actions }, context).encode(event).toString();
    expect(record).toContain('|frobnicate|Frobnicate|8|');
    expect(record).toContain('cat=own_category');
  });

  it('changes neither event nor text', () => {
    const text = '{"id":1,\n"meta":{"a":"\u2028"}}';
    const event = Object.freeze(auditEvent(text));
    for (const format of formats) format.encode(event);
    expect(event.text.toString()).toBe(text);
  });
});
