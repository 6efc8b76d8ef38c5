import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditEvent } from '../../src/event/event.ts';
import { exportedLine } from '../../src/evidence/exported-line.ts';
import { createActions } from '../../src/format/actions.ts';
import { createFormat, formatNames } from '../../src/format/formats.ts';

const read = (line: string) => exportedLine(Buffer.from(line));
const context = { tenant: 'acme.eu1.qasphere.com', version: '1.0.0' };
const eventText = (id: bigint | string, more = '') =>
  `{"user":{"id":3,"name":"}{\\"id\\":9"},"id":${id},"action":"user.login","ip":"192.0.2.1","userAgent":"CEF:0 {x}","createdAt":"2026-11-01T00:00:00.000Z"${more}}`;
const record = (id: bigint | string, bytes: string) => ({ kind: 'record', id: String(id), bytes: Buffer.from(bytes) });

describe('a line of an export', () => {
  it.each(formatNames.flatMap((name) => [false, true].map((envelope) => [name, envelope] as const)))(
    'is read in the format %s, envelope %s, with the id beyond 2^53 too',
    (name, envelope) => {
      if (envelope && name !== 'json') return;
      const format = createFormat(name, { envelope, actions: createActions([]) }, context);
      fc.assert(
        fc.property(fc.bigInt(1n, 2n ** 63n - 1n), (id) => {
          const event = auditEvent({ id, text: Buffer.from(eventText(id)), receivedAtMs: 0 });
          const written = String(format.encode(event));
          expect(read(written)).toEqual(record(id, written));
          expect(read(`${written}\r`)).toEqual(record(id, written));
          expect(
            read(`<110>1 2026-11-01T00:00:00.000Z acme qasphere - user.login [q@1 id="${id}" user="{\\"a"] ${written}`),
          ).toEqual(record(id, written));
          expect(read(JSON.stringify({ result: { _raw: written } }))).toEqual(record(id, written));
          expect(read(JSON.stringify({ _raw: written, _time: 'x' }))).toEqual(record(id, written));
        }),
        { numRuns: 20 },
      );
    },
  );

  it('is taken out of a HEC envelope byte by byte', () => {
    const spaced = eventText(5n).replace('{"user"', '{ "user"');
    expect(read(`{"time":1,"host":"acme","event":${spaced},"sourcetype":"x"}`)).toEqual(record(5n, spaced));
    expect(read('{"time":1,"event":"CEF:0|a|b|c|d|e|1|act=x externalId=7 rt=1"}')).toEqual(
      record(7n, 'CEF:0|a|b|c|d|e|1|act=x externalId=7 rt=1'),
    );
  });

  it('is an event, whatever else that has', () => {
    for (const more of [
      ',"event":{"id":9},"time":1',
      ',"_raw":"{}"',
      ',"result":{"_raw":"x"}',
      ',"forwarder":{"event":"x"}',
    ])
      expect(read(eventText(6n, more))).toEqual(record(6n, eventText(6n, more)));
  });

  it('is a status record of the forwarder, in whatever it is wrapped', () => {
    const own = '{"forwarder":{"event":"forwarder.sealed","seal":{"seq":1}}}';
    const status = { kind: 'status', body: { event: 'forwarder.sealed', seal: { seq: 1 } } };
    for (const line of [own, `<14>1 - - - - - - ${own}`, JSON.stringify({ _raw: own }), `{"time":1,"event":${own}}`])
      expect(read(line)).toEqual(status);
  });

  it.each(['', 'x', '{}', '{"id":"x"}', '{"id":-1}', '{"id":1.5}', '{"id":', 'CEF:0|x', '[]', '<14> {'])(
    'is unreadable if it is %s',
    (line) => {
      expect(read(line)).toMatchObject({ kind: 'unreadable' });
    },
  );

  it('never makes the reader throw', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void exportedLine(Buffer.from(bytes))));
    fc.assert(fc.property(fc.json(), (text) => void read(text)));
    fc.assert(fc.property(fc.json(), (text) => void read(`{"time":1,"event":${text}}`)));
    fc.assert(fc.property(fc.json(), fc.string(), (text, front) => void read(`${front} ${text}`)));
  });
});
