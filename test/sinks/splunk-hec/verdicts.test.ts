import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HttpAnswer, HttpFailure } from '../../../src/lib/http.ts';
import type { Verdict } from '../../../src/lib/verdict.ts';
import { failureVerdict } from '../../../src/sinks/http-batch.ts';
import { answerVerdict, type HecRequest, isUncounted, readReply } from '../../../src/sinks/splunk-hec/verdicts.ts';

const url = 'https://splunk.example:8088/services/collector/event';
const request: HecRequest = {
  events: 10,
  bytes: 5_000,
  url,
  index: 'security',
  nowMs: Date.parse('2026-05-01T12:00:00Z'),
};
const html = '<!doctype html><html><head><title>Bad</title></head><body><h1>Bad\r\nRequest</h1></body></html>';

function answer(status: number, body: string | object, headers: Record<string, string> = {}): HttpAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { kind: 'answer', status, headers, body: Buffer.from(text), sentMs: 0, headersMs: 1, elapsedMs: 1 };
}

function verdictOf(status: number, body: string | object, more: Partial<HecRequest> = {}): Verdict {
  return answerVerdict(answer(status, body), { ...request, ...more }).verdict;
}

describe('the answer codes of a HEC', () => {
  it.each([
    [403, 1, 'stop', 'auth', 'disabled'],
    [401, 2, 'stop', 'auth', 'removes the Authorization header'],
    [401, 3, 'stop', 'auth', 'Authorization header'],
    [403, 4, 'stop', 'auth', 'not known'],
    [400, 5, 'stop', 'malformed', 'without data'],
    [400, 6, 'reject', 'malformed', 'invalid data format'],
    [400, 7, 'stop', 'address', 'index security is not allowed'],
    [500, 8, 'retry', 'server', 'internal error'],
    [503, 9, 'retry', 'throttled', 'busy'],
    [429, 9, 'retry', 'throttled', 'busy'],
    [400, 10, 'stop', 'address', 'acknowledgement: true or auto'],
    [400, 11, 'stop', 'address', 'channel'],
    [400, 12, 'reject', 'malformed', 'missing'],
    [400, 13, 'reject', 'malformed', 'blank'],
    [400, 14, 'stop', 'address', 'Splunk Cloud'],
    [400, 15, 'reject', 'malformed', 'fields'],
    [400, 16, 'stop', 'auth', 'query'],
    [503, 18, 'retry', 'throttled', 'queues are full'],
    [503, 19, 'retry', 'throttled', 'acknowledgement service'],
    [503, 20, 'retry', 'throttled', 'queues are full'],
    [400, 21, 'stop', 'auth', 'not known'],
    [400, 22, 'stop', 'auth', 'disabled'],
    [503, 23, 'retry', 'server', 'shutting down'],
    [429, 26, 'retry', 'throttled', 'queue is at capacity'],
    [429, 27, 'retry', 'throttled', 'channel is at capacity'],
  ] as const)('HTTP %i with code %i is %s (%s) and says "%s"', (status, code, kind, reason, words) => {
    const verdict = verdictOf(status, { text: 'Said so', code });
    expect(verdict).toMatchObject({ kind, reason, detail: expect.stringContaining(words) });
    expect(verdict).toMatchObject({ detail: expect.stringContaining(`HTTP ${status}, code ${code}, “Said so”`) });
  });

  it.each([0, 17])('code %i with a 2xx is a delivery', (code) => {
    expect(answerVerdict(answer(200, { text: 'Success', code }), request)).toMatchObject({
      verdict: { kind: 'accepted' },
    });
  });

  it.each([
    [24, 'queue'],
    [25, 'acknowledgements'],
  ])('code %i with a 2xx is a delivery that asks for less', (code, slowDown) => {
    const found = answerVerdict(answer(200, { text: 'near capacity', code, ackId: 3 }), request);
    expect(found).toMatchObject({ verdict: { kind: 'accepted' }, slowDown, reply: { ackId: 3 } });
  });

  it('a code decides whatever the status, for example if a proxy changes it to 200', () => {
    expect(verdictOf(200, { text: 'Server is busy', code: 9 })).toMatchObject({ kind: 'retry' });
    expect(verdictOf(200, { text: 'Invalid token', code: 4 })).toMatchObject({ kind: 'stop' });
  });

  it.each([0, 17, 24, 25])('code %i does not turn a failure status into a delivery', (code) => {
    expect(verdictOf(502, { text: 'Success', code })).toMatchObject({ kind: 'retry', reason: 'server' });
  });

  it('an unknown code leaves the decision to the status', () => {
    expect(verdictOf(200, { text: 'New', code: 99 })).toEqual({ kind: 'accepted' });
    expect(verdictOf(503, { text: 'New', code: 99 })).toMatchObject({ kind: 'retry', reason: 'throttled' });
    expect(verdictOf(404, { text: 'not found', code: 404 })).toMatchObject({ kind: 'retry', reason: 'address' });
  });

  it('names the default index if none is configured', () => {
    expect(verdictOf(400, { code: 7 }, { index: undefined })).toMatchObject({
      detail: expect.stringContaining('its default index'),
    });
  });
});

describe('invalid-event-number', () => {
  it.each([6, 12, 13, 15])('names the event that code %i is about, counted from 0', (code) => {
    expect(verdictOf(400, { code, 'invalid-event-number': 9 })).toMatchObject({ kind: 'reject', failedIndex: 9 });
  });

  it.each([10, -1, 1.5, '3', null, 1e30])('is ignored if it is %j in a batch of ten', (number) => {
    const verdict = verdictOf(400, { code: 6, 'invalid-event-number': number });
    expect(verdict).toMatchObject({ kind: 'reject' });
    expect(verdict).not.toHaveProperty('failedIndex');
  });

  it.each([7, 9])('names no event with code %i', (code) => {
    expect(verdictOf(400, { code, 'invalid-event-number': 1 })).not.toHaveProperty('failedIndex');
  });
});

describe('a status without a usable code', () => {
  it.each([
    [408, 'retry', 'timeout'],
    [413, 'reject', 'too_large'],
    [425, 'retry', 'throttled'],
    [429, 'retry', 'throttled'],
    [500, 'retry', 'server'],
    [502, 'retry', 'server'],
    [503, 'retry', 'throttled'],
    [504, 'retry', 'timeout'],
    [599, 'retry', 'server'],
    [405, 'stop', 'malformed'],
    [407, 'stop', 'auth'],
    [415, 'stop', 'malformed'],
  ] as const)('HTTP %i is %s (%s) for any number of events', (status, kind, reason) => {
    for (const events of [0, 1, 10])
      expect(answerVerdict(answer(status, html), { ...request, events })).toEqual({
        verdict: expect.objectContaining({ kind, reason, detail: expect.stringContaining(`HTTP ${status}`) }),
        reply: {},
      });
    expect(verdictOf(status, '')).toMatchObject({ kind, reason });
  });

  it.each([
    [200, 'address'],
    [302, 'address'],
    [400, 'malformed'],
    [401, 'auth'],
    [403, 'auth'],
    [406, 'address'],
    [410, 'address'],
    [451, 'address'],
  ] as const)('HTTP %i with a page is narrowed down, then depends on a request without events', (status, reason) => {
    const verdictFor = (events: number) => answerVerdict(answer(status, html), { ...request, events });
    const stop = { kind: 'stop', reason, detail: expect.stringContaining(`HTTP ${status}`) };
    expect(verdictFor(10)).toEqual({
      verdict: { kind: 'reject', reason: 'malformed', detail: stop.detail },
      reply: {},
    });
    expect(verdictFor(1)).toEqual({
      verdict: stop,
      ifHarmlessPasses: { kind: 'reject', reason: 'malformed', detail: stop.detail },
      reply: {},
    });
    expect(verdictFor(0)).toEqual({ verdict: stop, reply: {} });
  });

  it('404 is temporary, is narrowed down, and depends on a request without events when one event is left', () => {
    const verdictFor = (events: number) => answerVerdict(answer(404, html), { ...request, events });
    const retry = { kind: 'retry', reason: 'address', detail: expect.stringContaining('HTTP 404') };
    expect(verdictFor(10)).toEqual({ verdict: { ...retry, narrow: true }, reply: {} });
    expect(verdictFor(1)).toMatchObject({ verdict: retry, ifHarmlessPasses: { kind: 'reject' } });
    expect(verdictFor(0)).toEqual({ verdict: retry, reply: {} });
  });

  it('404 with Splunk’s own code is temporary, and no event is its cause', () => {
    const found = answerVerdict(answer(404, { text: 'not found', code: 404 }), { ...request, events: 1 });
    expect(found.verdict).toMatchObject({ kind: 'retry', reason: 'address' });
    expect(found.verdict).not.toHaveProperty('narrow');
    expect(found).not.toHaveProperty('ifHarmlessPasses');
  });

  it.each([200, 201, 204])('%i without a page is a delivery', (status) => {
    expect(verdictOf(status, '')).toEqual({ kind: 'accepted' });
    expect(verdictOf(status, { text: 'Success' })).toEqual({ kind: 'accepted' });
    expect(verdictOf(status, 'ok')).toEqual({ kind: 'accepted' });
  });

  it('200 with a web page is no delivery: the collector did not answer', () => {
    const pages = [answer(200, html), answer(200, '', { 'content-type': 'text/html; charset=UTF-8' })];
    for (const page of pages)
      expect(answerVerdict(page, { ...request, events: 1 }).verdict).toMatchObject({
        kind: 'stop',
        reason: 'address',
        detail: expect.stringContaining(url),
      });
  });

  it.each([
    ['https://login.example/saml?token=s3cret', 'https://login.example'],
    ['/en-US/account', 'https://splunk.example:8088'],
    ['http://', 'an unnamed address'],
  ])('a redirect to %s names the host alone', (location, named) => {
    const { verdict } = answerVerdict(answer(301, '', { location }), { ...request, events: 1 });
    expect(verdict).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining(`redirected to ${named};`),
    });
    expect(JSON.stringify(verdict)).not.toContain('s3cret');
  });
});

describe('whether an answer shows that the batch got no ackId', () => {
  const uncounted = (status: number, body: string | object) => {
    const found = answer(status, body);
    return isUncounted(found, answerVerdict(found, request));
  };

  it.each([1, 2, 4, 6, 7, 9, 10, 14, 18, 19, 20, 23, 26, 27])('code %i does, whatever the status', (code) => {
    for (const status of [400, 429, 500, 503]) expect(uncounted(status, { code })).toBe(true);
  });

  it.each([
    ['an internal error', 500, { code: 8 }],
    ['a gateway timeout', 504, html],
    ['a failure with an unknown code', 503, { code: 99 }],
    ['a success without an ackId', 200, { code: 0 }],
  ])('%s does not', (_, status, body) => {
    expect(uncounted(status, body)).toBe(false);
  });
});

describe('any answer', () => {
  it.each([404, 429, 500, 503])('honours Retry-After with %i', (status) => {
    expect(answerVerdict(answer(status, html, { 'retry-after': '7' }), request).verdict).toMatchObject({
      afterMs: 7_000,
    });
    const date = answerVerdict(answer(status, html, { 'retry-after': 'Fri, 01 May 2026 13:00:00 GMT' }), request);
    expect(date.verdict).toMatchObject({ afterMs: 300_000 });
  });

  it('honours Retry-After with code 9', () => {
    const busy = answer(503, { text: 'Server is busy', code: 9 }, { 'retry-after': '30' });
    expect(answerVerdict(busy, request).verdict).toMatchObject({ kind: 'retry', afterMs: 30_000 });
  });

  it('has a verdict with one printable line of bounded length (property)', () => {
    const body = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc
        .record(
          {
            code: fc.integer({ min: -1, max: 30 }),
            text: fc.string({ unit: 'binary', maxLength: 2000 }),
            ackId: fc.jsonValue(),
            'invalid-event-number': fc.jsonValue(),
            acks: fc.jsonValue(),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
    );
    const headers = fc.dictionary(
      fc.constantFrom('location', 'retry-after', 'content-type'),
      fc.string({ unit: 'binary', maxLength: 3000 }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), body, headers, (status, text, given) => {
        const { verdict } = answerVerdict(answer(status, text, given), request);
        if (verdict.kind === 'accepted') return status < 300;
        expect(verdict.detail).toMatch(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,800}$/u);
        return true;
      }),
    );
  });
});

describe('readReply', () => {
  it.each(['', 'nonsense', '[1]', 'null', '"code"', '1'])('reads nothing from %j', (text) => {
    expect(readReply(Buffer.from(text))).toEqual({});
  });

  it.each(['"0"', '-1', '1.5', 'true', 'null', '1e400'])('does not take %s for an ackId', (ackId) => {
    expect(readReply(Buffer.from(`{"code":0,"ackId":${ackId}}`))).not.toHaveProperty('ackId');
  });

  it('reads acks only if they are an object', () => {
    expect(readReply(Buffer.from('{"acks":{"0":true,"1":false}}'))).toEqual({ acks: { 0: true, 1: false } });
    expect(readReply(Buffer.from('{"acks":[true]}'))).toEqual({});
  });
});

describe('no answer', () => {
  const failure = (reason: HttpFailure['reason'], code: string): HttpFailure => ({
    kind: 'failure',
    reason,
    code,
    detail: 'it said',
    connected: true,
    elapsedMs: 1,
  });

  it.each([
    ['network', 'ECONNRESET', 'retry', 'network'],
    ['timeout', 'ETIMEDOUT', 'retry', 'timeout'],
    ['proxy', 'ERR_PROXY_TUNNEL', 'retry', 'network'],
    ['too_large', 'BODY_TOO_LARGE', 'retry', 'server'],
    ['network', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'stop', 'auth'],
    ['network', 'ERR_TLS_CERT_ALTNAME_INVALID', 'stop', 'auth'],
  ] as const)('%s %s is %s', (reason, code, kind, expected) => {
    expect(failureVerdict(failure(reason, code), request)).toMatchObject({
      kind,
      reason: expected,
      detail: expect.stringContaining('it said'),
    });
  });
});
