import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitPage } from '../../src/source/split-page.ts';

const page = (...events: string[]) => Buffer.from(`{"after":9,"count":3,"events":[${events.join(',')}]}`);

function cut(body: Buffer) {
  const result = splitPage(body, 0);
  if (result.kind !== 'page') throw new Error(result.detail);
  return result;
}

const idsOf = (result: ReturnType<typeof splitPage>) =>
  result.kind === 'page' ? result.events.map(({ id }) => id) : undefined;

/** The same by parsing the text as a whole; undefined where it is no page. */
function idsByParsing(text: string): bigint[] | undefined {
  let page: unknown;
  try {
    page = JSON.parse(text);
  } catch {
    return undefined;
  }
  const events = (page as { events?: unknown } | null)?.events;
  if (!Array.isArray(events) || Array.isArray(page)) return undefined;
  const ids = events.map((event: { id?: unknown } | null) => event?.id);
  if (!ids.every((id) => Number.isInteger(id))) return undefined;
  return [...new Set(ids.map((id) => BigInt(id as number)))].sort((a, b) => (a < b ? -1 : 1));
}

describe('splitting a page into events', () => {
  it('keeps every byte of an event', () => {
    const texts = [
      '{"id":1,"n":1.0,"e":1e3,"z":-0,"big":9007199254740993,"b":2,"a":1}',
      '{ "id" : 2 , "meta" : {"s":"\\ud800 \\u2028 \u2028 }],\\"{["} }',
      '{"id":3,"__proto__":{"x":1},"constructor":1,"":[[],{}]}',
    ];
    const { events } = cut(page(...texts));
    expect(events.map(({ text }) => text.toString())).toEqual(texts);
    expect(events.map(({ id }) => id)).toEqual([1n, 2n, 3n]);
  });

  it('keeps every byte whatever JSON an event holds', () => {
    const event = fc
      .tuple(fc.nat(), fc.json({ depthSize: 'medium' }), fc.string({ unit: 'binary' }))
      .map(([id, json, name]) => `{"meta":${json},${JSON.stringify(name)}:1,"id":${id}}`);
    fc.assert(
      fc.property(fc.uniqueArray(event, { selector: (text) => JSON.parse(text).id, maxLength: 20 }), (texts) => {
        const { events } = cut(page(...texts));
        expect(events.map(({ text }) => text.toString()).sort()).toEqual(
          texts.map((t) => Buffer.from(t).toString()).sort(),
        );
        for (const { id, text } of events) expect(BigInt(JSON.parse(text.toString()).id)).toBe(id);
      }),
      { numRuns: 300 },
    );
  });

  it('accepts as a page what JSON.parse accepts, and finds the same events, however the text is damaged', () => {
    const item = fc.oneof(
      { weight: 8, arbitrary: fc.nat().map((id) => `{"id":${id},"meta":{"s":"],{"}}`) },
      fc.constantFrom('1', 'null', '"a"', '[1]', '{}', '{"id":1.5}', '', '{"id":1', '{"id":01}', '{"id":1}{"id":2}'),
    );
    const space = fc.constantFrom('', ' ', '\n\t');
    const comma = fc.oneof({ weight: 50, arbitrary: fc.constant(',') }, fc.constantFrom(';', '', ',,', ':', ']', '}'));
    const list = fc
      .array(fc.tuple(item, space, comma, space), { maxLength: 80, size: 'max' })
      .map((parts) => parts.map(([text, ...after], at) => (at === parts.length - 1 ? text : text + after.join(''))));
    const frame = fc.constantFrom<[string, string]>(
      ['{"after":9,"events":[', ']}'],
      [' { "a" : [ 1 ] , "events" : [ ', ' ] , "b":{} } '],
      ['{"events":[{"id":1}],"events":[', ']}'],
      ['{"events":[', '],"events":[{"id":3}]}'],
      ['{"events":[', ']'],
      ['{"events":[', ',]}'],
      ['{"events":[', ']},'],
      ['{"events":[', ']]'],
      ['{"\\q":1,"events":[', ']}'],
      ['{"x":tru,"events":[', ']}'],
      ['{"events":"[', ']"}'],
    );
    const damage = fc.option(fc.tuple(fc.nat(), fc.constantFrom('', '"', ',', '{', '}', '[', ']', '\\', ' ', '0')));
    fc.assert(
      fc.property(frame, list, damage, ([before, after], parts, harm) => {
        let text = before + parts.join('') + after;
        if (harm !== null) {
          const at = harm[0] % text.length;
          text = text.slice(0, at) + harm[1] + text.slice(at + 1);
        }
        expect(idsOf(splitPage(Buffer.from(text), 0))).toEqual(idsByParsing(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('reads the digits of `after`, and no other text in its place', () => {
    const afterOf = (after: string) => cut(Buffer.from(`{"after":${after},"events":[]}`)).answeredAfter;
    expect(['0', '9007199254740993', '"ann@acme.test"', 'null', '{"email":1}'].map(afterOf)).toEqual([
      '0',
      '9007199254740993',
      'not an integer',
      'not an integer',
      'not an integer',
    ]);
    expect(cut(Buffer.from('{"events":null}'))).toMatchObject({ events: [], answeredAfter: undefined });
  });

  it('keeps all digits of an id beyond 2^53', () => {
    const { events } = cut(page('{"a":{"id":1},"id":9007199254740993}', '{"\\u0069d":36893488147419103232}'));
    expect(events.map(({ id }) => id)).toEqual([9007199254740993n, 36893488147419103232n]);
  });

  it('sorts events by id and keeps the first of repeated ones', () => {
    const { events } = cut(page('{"id":5}', '{"id":2,"a":1}', '{"id":2,"a":2}', '{"id":3}'));
    expect(events.map(({ text }) => text.toString())).toEqual(['{"id":2,"a":1}', '{"id":3}', '{"id":5}']);
  });

  it('uses the last of repeated keys, as a JSON parser does', () => {
    const { events } = cut(Buffer.from('{"events":[{"id":1}],"even\\u0074s":[{"id":2}]}'));
    expect(events.map(({ id }) => id)).toEqual([2n]);
  });

  it('reads an event nested 100,000 levels deep', () => {
    const deep = `{"id":7,"meta":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const { events } = cut(page(deep));
    expect(events[0]?.text.toString()).toBe(deep);
  });

  it('reads through a byte order mark and white space', () => {
    const { events } = cut(Buffer.from('\ufeff \n{ "events" : [ {"id":1} , {"id":2} ] , "after" : 2 }\n'));
    expect(events.map(({ id }) => id)).toEqual([1n, 2n]);
  });

  it.each([
    ['HTML', '<!doctype html><html></html>'],
    ['cut off JSON', '{"after":1,"events":[{"id":1},{"i'],
    ['a list that something else ends', '{"events":[{"id":1}0}'],
    ['no events', '{"after":1,"count":1}'],
    ['events that are no array', '{"events":{"id":1}}'],
    ['an array', '[{"id":1}]'],
    ['null', 'null'],
    ['an event without id', '{"events":[{"id":1},{"x":1}]}'],
    ['a text for an id', '{"events":[{"id":"1"}]}'],
    ['a fraction for an id', '{"events":[{"id":1.5}]}'],
    ['an exponent too large to be exact', '{"events":[{"id":1e30}]}'],
    ['an event that is no object', '{"events":[1]}'],
    ['nothing', ''],
  ])('reports a page of %s as unreadable, in one printable line', (_, text) => {
    const result = splitPage(Buffer.from(text), 0);
    expect(result.kind).toBe('unreadable');
    if (result.kind === 'unreadable') expect(result.detail).toMatch(/^[^\n\r]{5,}$/);
  });

  it('reports broken UTF-8 as unreadable instead of altering it', () => {
    const body = Buffer.concat([Buffer.from('{"events":[{"id":1,"a":"'), Buffer.from([0xff]), Buffer.from('"}]}')]);
    expect(splitPage(body, 0)).toMatchObject({ kind: 'unreadable', detail: expect.stringContaining('UTF-8') });
  });
});
