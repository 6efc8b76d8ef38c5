import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch, Encoded } from '../../../src/event/event.ts';
import { Envelopes, type Metadata, seconds } from '../../../src/sinks/splunk-hec/envelope.ts';
import { readEnvelopes } from '../../support/hec-parse.ts';
import { eventOf, recordOf } from '../../support/sink-parts.ts';

const metadata: Metadata = {
  host: 'acme.eu1.qasphere.com',
  source: 'src',
  sourcetype: 'qasphere:audit',
  index: undefined,
  fields: undefined,
};
const of = (...texts: string[]): Batch => ({ records: texts.map(recordOf) });
const linesOf = (body: Buffer): string[] => body.toString('utf8').split('\n').slice(0, -1);

describe('an envelope', () => {
  it('names host, source and sourcetype, and leaves out what is not configured', () => {
    const body = new Envelopes(metadata, true).body(of('{"id":1,"createdAt":"2026-01-02T03:04:05.678Z"}'));
    expect(body.untimed).toBe(0);
    expect(body.bytes.toString()).toBe(
      '{"time":1767323045.678,"host":"acme.eu1.qasphere.com","source":"src","sourcetype":"qasphere:audit","event":{"id":1,"createdAt":"2026-01-02T03:04:05.678Z"}}\n',
    );
  });

  it('carries index and constant fields', () => {
    const envelopes = new Envelopes(
      { ...metadata, index: 'security', fields: { env: 'prod', team: ['a', 'b'] } },
      true,
    );
    const [line = ''] = linesOf(envelopes.body(of('{"id":1}')).bytes);
    expect(JSON.parse(line)).toMatchObject({ index: 'security', fields: { env: 'prod', team: ['a', 'b'] } });
  });

  it.each([
    '{"id":1}',
    '{"id":1,"createdAt":"yesterday"}',
    '{"id":1,"createdAt":1767323045}',
    '{"id":1,"createdAt":null}',
  ])('has no time if createdAt is not readable: %s', (text) => {
    const { bytes, untimed } = new Envelopes(metadata, true).body(
      of(text, '{"id":2,"createdAt":"2026-01-02T03:04:05Z"}'),
    );
    const [first, second] = linesOf(bytes).map((line) => JSON.parse(line));
    expect(untimed).toBe(1);
    expect(first).not.toHaveProperty('time');
    expect(second.time).toBe(1767323045);
  });

  it('takes the time from the redacted event, so that a redacted createdAt is not revealed', () => {
    const event = eventOf('{"id":1,"createdAt":"2026-01-02T03:04:05Z"}');
    const redacted = eventOf('{"id":1,"createdAt":"[redacted]"}');
    const { untimed } = new Envelopes(metadata, true).body({ records: [{ event, redacted, record: redacted.text }] });
    expect(untimed).toBe(1);
  });

  it('keeps numbers beyond 2^53, -0, 1.0, 1e3, lone surrogate escapes and key order as received', () => {
    const text =
      '{"z":90071992547409931,"id":9007199254740993,"a":-0,"f":1.0,"e":1e3,"s":"\\ud800 \u2028 é \\u0000","10":1,"2":2}';
    const { bytes } = new Envelopes(metadata, true).body(of(text));
    expect(readEnvelopes(bytes, {}).events[0]?.raw.toString()).toBe(text);
  });

  it('carries a record of another format as one JSON string', () => {
    const line = 'CEF:0|Hypersequent|QA Sphere|1|user.login|"quoted" \\| back\\\\slash é 😀|3|\u2028';
    const event = eventOf('{"id":1,"createdAt":"2026-01-02T03:04:05Z"}');
    const encoded: Encoded = { event, redacted: event, record: Buffer.from(line) };
    const { bytes } = new Envelopes(metadata, false).body({ records: [encoded] });
    expect(JSON.parse(linesOf(bytes)[0] ?? '').event).toBe(line);
  });

  it('writes into a given buffer, and not beyond the length that it asked for', () => {
    const lent: Buffer[] = [];
    const envelopes = new Envelopes(metadata, true);
    const batch = of(
      '{"id":1,"createdAt":"9999-12-31T23:59:59.999Z"}',
      '{"id":2,"createdAt":"1970-01-01T00:00:00.000Z"}',
    );
    const { bytes } = envelopes.body(batch, (length) => {
      lent.push(Buffer.alloc(length + 8, 0x2e));
      return lent[0] as Buffer;
    });
    expect(bytes.buffer).toBe(lent[0]?.buffer);
    expect(lent[0]?.subarray(bytes.length).toString()).toMatch(/^\.{8,}$/);
    expect(linesOf(bytes).map((line) => JSON.parse(line).time)).toEqual([253402300799.999, 0]);
  });

  it('contains any record unchanged, and parses to what was put in (property)', () => {
    const value = fc.record({
      id: fc.nat(),
      meta: fc.jsonValue(),
      createdAt: fc.oneof(
        fc
          .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z') })
          .map((d) => d.toISOString()),
        fc.string(),
      ),
    });
    const whole = fc.array(value, { minLength: 1, maxLength: 5 });
    const constants = fc.record({
      host: fc.string({ unit: 'binary' }),
      source: fc.string(),
      sourcetype: fc.string(),
      index: fc.option(fc.string(), { nil: undefined }),
      fields: fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined }),
    });
    fc.assert(
      fc.property(whole, constants, (values, given) => {
        const texts = values.map((one) => JSON.stringify(one));
        const envelopes = new Envelopes(given, true);
        const batch = of(...texts);
        const { bytes } = envelopes.body(batch);
        const lines = linesOf(bytes);
        expect(lines).toHaveLength(values.length);
        for (const [index, line] of lines.entries()) {
          const record = texts[index] ?? '';
          expect(line.endsWith(`,"event":${record}}`)).toBe(true);
          expect(Buffer.byteLength(line) + 1).toBeLessThanOrEqual(Buffer.byteLength(record) + envelopes.overheadBytes);
          const { time, event, ...constant } = JSON.parse(line);
          expect(event).toEqual(JSON.parse(record));
          expect(constant).toEqual(JSON.parse(JSON.stringify(given)));
          const { createdAt = '' } = values[index] ?? {};
          const ms = /^\d{4}-/.test(createdAt) ? Date.parse(createdAt) : Number.NaN;
          expect(time).toBe(Number.isNaN(ms) ? undefined : ms / 1000);
        }
      }),
    );
  });
});

describe('seconds', () => {
  it.each([
    [0, '0.000'],
    [1, '0.001'],
    [-1, '-0.001'],
    [999, '0.999'],
    [1_000, '1.000'],
    [1_767_323_045_678, '1767323045.678'],
    [-1_500, '-1.500'],
    [8.64e15, '8640000000000.000'],
  ])('writes %i ms as %s', (ms, text) => {
    expect(seconds(ms)).toBe(text);
  });

  it('is always a plain decimal that reads back as the same time (property)', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        const text = seconds(date.getTime());
        expect(text).toMatch(/^-?\d+\.\d{3}$/);
        expect(Number(text)).toBe(date.getTime() / 1000);
      }),
    );
  });
});
