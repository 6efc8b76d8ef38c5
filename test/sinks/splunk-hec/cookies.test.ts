import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cookies } from '../../../src/sinks/splunk-hec/cookies.ts';

const now = Date.parse('2026-05-01T12:00:00Z');

function having(...headers: string[]): Cookies {
  const cookies = new Cookies();
  cookies.take(headers, now);
  return cookies;
}

describe('the cookies of a channel', () => {
  it('are those of the last answer, whatever their attributes', () => {
    expect(
      having('AWSALB=a/b+c==; Expires=Fri, 08 May 2026 12:00:00 GMT; Path=/', 'AWSALBCORS=x; Secure; SameSite=None')
        .header,
    ).toBe('AWSALB=a/b+c==; AWSALBCORS=x');
    expect(having('a=1', 'a=2').header).toBe('a=2');
    expect(having('a="quoted"').header).toBe('a="quoted"');
    expect(new Cookies().header).toBeUndefined();
  });

  it('report whether something changed', () => {
    const cookies = new Cookies();
    expect([
      cookies.take(['a=1'], now),
      cookies.take(['a=1; Path=/'], now),
      cookies.take(['a=2'], now),
      cookies.take(undefined, now),
      cookies.take(['a=2; Max-Age=0'], now),
    ]).toEqual([true, false, true, false, true]);
    expect(cookies.empty).toBe(true);
  });

  it.each([
    'a=1; Max-Age=0',
    'a=1; max-age=-5',
    'a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
    'a=1; Expires=Fri, 08 May 2026 12:00:00 GMT; Max-Age=0',
  ])('end with %j', (header) => {
    const cookies = having('a=1', 'b=2');
    cookies.take([header], now);
    expect(cookies.header).toBe('b=2');
  });

  it.each(['', '=x', 'no value', 'a b=1', 'a=1,2', 'a=x\u0001y', 'a=é', `a=${'x'.repeat(5000)}`])(
    'ignore an invalid cookie: %j',
    (header) => {
      expect(having(header).header).toBeUndefined();
    },
  );

  it('are bounded in number', () => {
    const many = Array.from({ length: 100 }, (_, index) => `c${index}=1`);
    expect(having(...many).toJSON()).toHaveLength(16);
  });

  it('survive being written and read', () => {
    expect(Cookies.from(having('a=1', 'b="2"').toJSON()).header).toBe('a=1; b="2"');
    expect(Cookies.from([['a', 'x\r\ny: z']]).header).toBeUndefined();
  });

  it('never break a header (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (headers) => {
        expect(having(...headers).header ?? '').toMatch(/^[\x21-\x7e ]*$/);
      }),
    );
  });
});
