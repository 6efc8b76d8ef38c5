import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/event/event.ts';
import { eventValue } from '../../../src/event/event.ts';
import type { Format } from '../../../src/format/format.ts';
import { createFormat } from '../../../src/format/formats.ts';
import { truncate } from '../../../src/sinks/syslog/truncate.ts';
import { hostileEvent, seeded } from '../../support/hostile.ts';
import { parse5424 } from '../../support/rfc5424.ts';
import { compose, eventFromText, eventOf, plainJson } from '../../support/syslog.ts';

const textOnly = (event: AuditEvent) => event.text;
const shorten = (event: AuditEvent, maxBytes: number) => {
  const short = truncate(event, maxBytes, textOnly);
  return short === undefined ? undefined : { text: short.toString(), value: JSON.parse(short.toString()) };
};

/** Every string in `before` that `after` has at the same place is a start of it; members may be missing; the rest is the same. */
function expectStartsOf(before: unknown, after: unknown): void {
  if (typeof before === 'string') {
    expect(typeof after).toBe('string');
    expect(before.startsWith(after as string)).toBe(true);
    expect((after as string).isWellFormed() || !before.isWellFormed()).toBe(true);
  } else if (typeof before === 'object' && before !== null && typeof after === 'object' && after !== null) {
    expect(Object.keys(before)).toEqual(expect.arrayContaining(Object.keys(after)));
    for (const key of Object.keys(after)) expectStartsOf((before as never)[key], (after as never)[key]);
  } else if (typeof after === 'string') expect(after[0]).toBe(JSON.stringify(before)[0]);
  else expect(after).toEqual(before);
}

describe('a shortened event', () => {
  it('is valid JSON of at most the limit, marked, in which every cut string is a start of the original', () => {
    const long = fc.string({ unit: 'binary', maxLength: 3_000, size: 'max' });
    const hostile = fc.oneof({ weight: 3, arbitrary: fc.string({ unit: 'binary' }) }, { weight: 1, arbitrary: long });
    const event = fc.record({
      user: fc.option(fc.record({ id: fc.integer(), name: hostile, email: hostile })),
      action: fc.oneof(fc.constant('user.login'), hostile),
      userAgent: hostile,
      meta: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.oneof(hostile, fc.jsonValue(), fc.array(hostile))),
    });
    fc.assert(
      fc.property(event, fc.integer({ min: 300, max: 8_000 }), fc.boolean(), (value, maxBytes, pretty) => {
        const text = JSON.stringify({ id: 1, ...value }, null, pretty ? ' \t\n' : undefined);
        if (Buffer.byteLength(text) <= maxBytes) return;
        const given = eventFromText(1n, text);
        const result = shorten(given, maxBytes);
        if (result === undefined) throw new Error('it was not shortened');
        expect(Buffer.byteLength(result.text)).toBeLessThanOrEqual(maxBytes);
        expect(result.text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        const { truncated, dropped: _, ...rest } = result.value;
        expect(truncated).toBe(true);
        expectStartsOf(JSON.parse(text), rest);
      }),
      { numRuns: 300 },
    );
  });

  const padded = (fill: Record<string, unknown>) =>
    eventOf({ id: 1, action: 'user.login', userAgent: 'Mozilla', user: { email: 'a@example.com' }, ...fill });

  it('has the longest strings of meta cut first, down to one level, and the rest unchanged', () => {
    const given = padded({
      userAgent: 'U'.repeat(300),
      meta: { a: 'a'.repeat(900), b: { c: 'c'.repeat(700) }, d: 'short' },
    });
    const result = shorten(given, 1_200);
    const { meta, userAgent } = result?.value ?? {};
    expect(userAgent).toHaveLength(300);
    expect(meta.d).toBe('short');
    expect(meta.a).toHaveLength(meta.b.c.length);
    expect(result?.text.length).toBeGreaterThan(1_190);
  });

  it('has userAgent cut next, then other strings, if meta is not enough', () => {
    const given = padded({ userAgent: 'U'.repeat(900), name: 'N'.repeat(500), meta: { a: 'a'.repeat(900) } });
    const agent = shorten(given, 1_000)?.value;
    expect(agent).toMatchObject({ meta: { a: 'a'.repeat(32) }, name: 'N'.repeat(500) });
    expect(agent.userAgent.length).toBeLessThan(400);
    const other = shorten(given, 500)?.value;
    expect(other).toMatchObject({ meta: { a: 'a'.repeat(32) }, userAgent: 'U'.repeat(32) });
    expect(other.name.length).toBeLessThan(400);
  });

  it('has a long list in meta, or in an unknown member, replaced by the start of its JSON', () => {
    const given = padded({ meta: { list: Array.from({ length: 2_000 }, (_, index) => index), keep: 'me' } });
    const { meta } = shorten(given, 1_000)?.value ?? {};
    expect(meta.list).toMatch(/^\[0,1,2,3,/);
    expect(meta.keep).toBe('me');
    const unknown = padded({ roles: Array.from({ length: 2_000 }, (_, index) => index) });
    expect(shorten(unknown, 1_000)?.value).toMatchObject({
      action: 'user.login',
      roles: expect.stringMatching(/^\[0,1,/),
    });
  });

  it('is cut at a code point and never inside an escape', () => {
    for (let maxBytes = 150; maxBytes < 190; maxBytes++) {
      const emoji = shorten(padded({ meta: { a: '🦊é'.repeat(100) } }), maxBytes)?.value.meta.a;
      expect(emoji).toMatch(/^(🦊é)*🦊?$/u);
      const source = `{"id":1,"meta":{"a":"${'\\ud83e\\udd8a\\n'.repeat(100)}"}}`;
      expect(shorten(eventFromText(1n, source), maxBytes)?.value.meta.a).toMatch(/^(🦊\n)*🦊?$/u);
    }
  });

  it('keeps every digit of a number, and an existing member truncated becomes true', () => {
    const source = `{"id":12345678901234567890,"x":[1.0,1e3,-0],"truncated" : {"a":[1,2]} ,"userAgent":"${'x'.repeat(500)}"}`;
    expect(shorten(eventFromText(1n, source), 200)?.text).toMatch(
      /^\{"id":12345678901234567890,"x":\[1\.0,1e3,-0\],"truncated" : true ,"userAgent":"x+"\}$/,
    );
  });

  it('keeps what it can of an event nested 100,000 deep or with very many small values', () => {
    const deep = `{"id":1,"list":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(shorten(eventFromText(1n, deep), 8_000)?.value.list).toMatch(/^\[+$/);
    const many = `{"id":1,"list":[${Array(50_000).fill('"ab"').join()}]}`;
    expect(shorten(eventFromText(1n, many), 8_000)?.value.list).toMatch(/^\["ab","ab"/);
    const deepMeta = `{"id":1,"meta":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
    expect(shorten(eventFromText(1n, deepMeta), 8_000)?.value.meta.a).toMatch(/^\[+$/);
  });

  it('is correct with keys such as __proto__, escaped and duplicate ones', () => {
    const source = `{"id":1,"__proto__":{"meta":"x"},"m\\u0065ta":{"__proto__":"${'a'.repeat(900)}"},"meta":["${'b'.repeat(900)}"]}`;
    const { text } = shorten(eventFromText(1n, source), 400) ?? { text: '' };
    expect(text).toMatch(
      /^\{"id":1,"__proto__":\{"meta":"x"\},"m\\u0065ta":\{"__proto__":"a+"\},"meta":\["b+"\],"truncated":true\}$/,
    );
  });

  it('has the largest members dropped and names them, if cutting is not enough', () => {
    const fields = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`field${index}`, index]));
    const given = padded({ ...fields, ['k'.repeat(500)]: 1, meta: { ...fields, ['l'.repeat(900)]: 1 } });
    const { text, value } = shorten(given, 8_000) ?? { text: '', value: {} };
    expect(text.length).toBeGreaterThan(7_000);
    expect(value).toMatchObject({ id: 1, action: 'user.login', user: { email: 'a@example.com' }, truncated: true });
    expect(value.dropped.at(-1)).toMatch(/^and \d+ more$/);
    const { dropped } = shorten(padded({ meta: { ['l'.repeat(300)]: 1, keep: 1 } }), 400)?.value ?? {};
    expect(dropped).toEqual(['1 member']);
    const named = shorten(padded({ ['k'.repeat(60)]: Array(10).fill(1), meta: { list: 'x' } }), 200)?.value;
    expect(named).toMatchObject({ meta: { list: 'x' }, truncated: true });
  });

  it('has documented members dropped last, and one dropped marker only', () => {
    const roles = Array(3_000).fill('role');
    const given = padded({ user: roles, action: roles, dropped: 'x', meta: { list: 'x' } });
    const { text, value } = shorten(given, 800) ?? { text: '', value: {} };
    expect(value).toMatchObject({
      id: 1,
      truncated: true,
      dropped: expect.arrayContaining(['dropped', 'user', 'action']),
    });
    expect(text.match(/"dropped":/g)).toHaveLength(1);
  });
});

describe('a message within its limit', () => {
  const within = (event: AuditEvent, maxMessageBytes: number, format = plainJson) =>
    compose(event, { maxMessageBytes }, format);

  it('is marked in the structured data too, and uses the limit', () => {
    for (const fill of ['x', 'é', '🦊', '\n', '\u007f', '"']) {
      const message = within(eventOf({ id: 1, action: 'user.login', meta: { note: fill.repeat(30_000) } }), 8_000);
      expect(message).toBeInstanceOf(Buffer);
      expect((message as Buffer).length).toBeLessThanOrEqual(8_000);
      expect((message as Buffer).length).toBeGreaterThan(7_900);
      expect(String(message)).toContain(' truncated="true"]');
    }
  });

  it('is whole if it has exactly the limit', () => {
    const event = eventOf({ id: 1, meta: { note: 'x'.repeat(1_000) } });
    const whole = within(event, 100_000) as Buffer;
    expect(within(event, whole.length)).toEqual(whole);
    expect(String(within(event, whole.length - 1))).toContain('"truncated":true');
  });

  it('is shortened if a format makes it much longer, or leaves a member out', () => {
    const spelled = (event: AuditEvent) =>
      Array.from(String(eventValue(event)['userAgent'] ?? ''), (one) => `<${one}>`.repeat(5));
    const format: Format = { name: 'x', json: false, encode: (event) => Buffer.from(spelled(event).join('')) };
    const message = within(
      eventOf({ id: 1, userAgent: 'U'.repeat(5_000), meta: { a: 'a'.repeat(5_000) } }),
      2_000,
      format,
    );
    expect((message as Buffer).length).toBeLessThanOrEqual(2_000);
  });

  it.each(['json', 'cef', 'leef', 'ecs', 'ocsf'] as const)(
    'is within the limit in format %s, whatever strings the event has',
    (name) => {
      const format = createFormat(
        name,
        { envelope: name === 'json' },
        { tenant: 'acme.eu1.qasphere.com', version: '1' },
      );
      const random = seeded(3);
      for (let id = 1; id <= 200; id++) {
        const value = eventValue(hostileEvent(id, random));
        const meta = { note: 'é"\\|=^\n'.repeat(Math.floor(random() * 2_000)), given: value['meta'] };
        const event = eventOf({ ...value, id, userAgent: `${value['userAgent']}`.repeat(50), meta });
        const message = within(event, 4_000, format);
        if (!Buffer.isBuffer(message)) throw new Error(message.detail);
        expect(message.length).toBeLessThanOrEqual(4_000);
        const { msg, sd } = parse5424(message.toString());
        expect(sd['id']).toBe(String(id));
        if (format.json) expect(JSON.parse(msg)).toBeTypeOf('object');
      }
    },
  );

  it('is rejected as too large if not even its id fits, and as malformed if the format fails', () => {
    const wordy: Format = { name: 'wordy', json: false, encode: () => Buffer.alloc(9_000, 'x') };
    expect(within(eventOf({ id: 1 }), 8_000, wordy)).toMatchObject({ kind: 'reject', reason: 'too_large' });
    const encode = (event: AuditEvent) => {
      if (eventValue(event)['truncated']) throw new Error('our bug');
      return event.text;
    };
    const failing: Format = { name: 'failing', json: true, encode };
    const event = eventOf({ id: 1, userAgent: 'x'.repeat(9_000) });
    expect(within(event, 8_000, failing)).toMatchObject({ kind: 'reject', reason: 'malformed' });
  });

  const many = (count: number, member: (index: number) => [string, unknown]) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => member(index)));
  const shapes: Readonly<Record<string, Record<string, unknown>>> = {
    'a long list': { list: Array(20_000).fill(1) },
    'a long list of the user': { user: { id: 1, email: 'a@example.com', roles: Array(20_000).fill('role') } },
    'a list in place of the user': { user: Array(20_000).fill('role') },
    'a list in place of meta': { meta: Array(20_000).fill('entry') },
    'a list in place of the action': { action: Array(20_000).fill('entry') },
    'an object in place of the time': { createdAt: many(2_000, (index) => [`k${index}`, 'v']) },
    'hundreds of unknown fields': many(900, (index) => [`field${index}`, `value ${index}`]),
    'hundreds of unknown fields in meta': { meta: many(900, (index) => [`field${index}`, index]) },
    'hundreds of unknown fields of the user': { user: many(900, (index) => [`field${index}`, index]) },
    'long keys': { ['k'.repeat(20_000)]: 1, ['"\n'.repeat(9_000)]: { a: 1 }, meta: { ['é'.repeat(9_000)]: 1 } },
    'a deep nest': { deep: JSON.parse(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) },
    'everything at once': {
      list: Array(9_000).fill(1),
      meta: many(900, (index) => ['k'.repeat(index), 'v'.repeat(index)]),
      ...many(500, (index) => [`f${index}`, [index, index]]),
    },
  };

  it.each(
    (['json', 'cef', 'leef', 'ecs', 'ocsf'] as const).flatMap((name) =>
      Object.keys(shapes).map((shape) => [name, shape] as const),
    ),
  )('is delivered within the limit in format %s with %s', (name, shape) => {
    const format = createFormat(name, { envelope: name === 'json' }, { tenant: 'acme.eu1.qasphere.com', version: '1' });
    const event = eventOf({
      action: 'user.login',
      ip: '192.0.2.7',
      createdAt: '2026-11-23T10:20:30.456Z',
      ...shapes[shape],
      id: 42,
    });
    for (const maxBytes of [1_000, 1_180, 8_000]) {
      const message = within(event, maxBytes, format);
      if (!Buffer.isBuffer(message)) throw new Error(message.detail);
      expect(message.length).toBeLessThanOrEqual(maxBytes);
      const { msg, sd } = parse5424(message.toString());
      expect(sd['id']).toBe('42');
      if (format.json) expect(JSON.parse(msg)).toBeTypeOf('object');
    }
  });
});
