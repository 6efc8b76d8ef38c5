import { describe, expect, it } from 'vitest';
import { verdictOf } from '../../src/source/verdicts.ts';

const requested = '/api/public/v0/audit-logs?after=0&count=1000';
const event = '{"id":7,"user":{"id":1,"name":"Ann","email":"ann@acme.test"},"action":"user.login","ip":"203.0.113.9"}';
const page = `{"after":7,"count":1,"events":[${event}]}`;

const verdict = (status: number, body = '', headers: Record<string, string> = {}, everRead = true) =>
  verdictOf({ status, headers, body: Buffer.from(body), requested }, { everRead, nowMs: 0 });

describe('an answer', () => {
  it.each([
    [200, true, { kind: 'page' }],
    [301, true, { kind: 'retry', reason: 'address' }],
    [400, true, { kind: 'stop', reason: 'malformed' }],
    [401, true, { kind: 'stop', reason: 'auth', status: 401 }],
    [402, true, { kind: 'stop', reason: 'auth', status: 402 }],
    [403, true, { kind: 'stop', reason: 'auth', status: 403 }],
    [404, true, { kind: 'retry', reason: 'address' }],
    [404, false, { kind: 'stop', reason: 'address' }],
    [407, true, { kind: 'retry', reason: 'network' }],
    [408, true, { kind: 'retry', reason: 'server' }],
    [425, true, { kind: 'retry', reason: 'server' }],
    [429, true, { kind: 'retry', reason: 'throttled' }],
    [500, true, { kind: 'retry', reason: 'server' }],
    [503, true, { kind: 'retry', reason: 'server' }],
    [203, true, { kind: 'retry', reason: 'malformed' }],
    [206, true, { kind: 'retry', reason: 'malformed' }],
    [204, true, { kind: 'retry', reason: 'malformed' }],
  ] as const)('with status %i (page read before: %s) has its verdict', (status, everRead, expected) => {
    expect(verdict(status, '', {}, everRead)).toMatchObject(expected);
  });

  it('with a page that is called text/html is a page', () => {
    expect(verdict(200, page, { 'content-type': 'text/html; charset=utf-8' })).toEqual({ kind: 'page' });
  });

  it('with HTML is none, whatever it is called', () => {
    for (const type of ['text/html', 'application/json'])
      expect(verdict(200, '\ufeff <!DOCTYPE html><title>Sign in</title>', { 'content-type': type })).toMatchObject({
        kind: 'retry',
        detail: expect.stringContaining('captive portal'),
      });
  });

  it('is quoted if it reports an error in words', () => {
    expect(verdict(429, 'rate limit exceeded')).toMatchObject({ detail: 'answered 429. It says: rate limit exceeded' });
    expect(verdict(401, '{"message":"invalid token"}')).toMatchObject({
      detail: 'answered 401. It says: invalid token',
    });
    expect(verdict(500, '"out of order\\u001b[31m"')).toMatchObject({
      detail: expect.stringContaining('order\\u001b[31m'),
    });
  });

  it('has no audit data in its detail, whatever its status', () => {
    const bodies = [
      page,
      page.slice(0, 150),
      page.slice(20),
      `\ufeff${page}`,
      event,
      `[${event}]`,
      `"${'x'.repeat(10)}`,
      `<pre>${page}</pre>`,
    ];
    for (const status of [203, 204, 206, 226, 300, 302, 400, 401, 403, 404, 407, 410, 429, 500, 502, 503])
      for (const body of bodies)
        expect(JSON.stringify(verdict(status, body))).not.toMatch(/ann@|Ann|203\.0\.113|user\.login/);
  });

  it('with Retry-After is asked again when it says, by its own clock', () => {
    const headers = { date: 'Tue, 01 Dec 2026 10:00:00 GMT', 'retry-after': 'Tue, 01 Dec 2026 10:00:20 GMT' };
    expect(verdict(503, '', headers)).toMatchObject({ afterMs: 20_000 });
  });
});
