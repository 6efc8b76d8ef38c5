import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryAfterMs, tlsRemedy } from '../../src/lib/http-answer.ts';

const now = Date.parse('2026-05-01T12:00:00Z');

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['7', 7_000],
    [' 12 ', 12_000],
    ['1.5', 1_500],
    ['300', 300_000],
    ['301', 300_000],
    ['99999999999999999999', 300_000],
    ['Fri, 01 May 2026 12:00:20 GMT', 20_000],
    ['Friday, 01-May-26 12:00:20 GMT', 20_000],
    ['Fri May  1 12:00:20 2026', 20_000],
    ['Fri, 01 May 2026 11:59:00 GMT', 0],
    ['Sat, 02 May 2026 12:00:00 GMT', 300_000],
  ])('reads %j as %i ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });

  it.each([undefined, '', '  ', '-5', 'soon', '5s', 'Fri', '1e3', 'NaN'])('has nothing to say for %j', (header) => {
    expect(retryAfterMs(header, now)).toBeUndefined();
  });

  it('is a number from 0 to five minutes, whatever the header', () => {
    const header = fc.oneof(
      fc.string(),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    );
    fc.assert(
      fc.property(header, (text) => {
        const wait = retryAfterMs(text, now);
        return wait === undefined || (wait >= 0 && wait <= 300_000);
      }),
    );
  });
});

describe('tlsRemedy', () => {
  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'caFile'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'caFile'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'servername'],
    ['CERT_HAS_EXPIRED', 'expired'],
    ['ERR_TLS_FINGERPRINT', 'fingerprint256'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'certFile'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'minVersion'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'does not speak TLS'],
  ])('has a remedy for %s', (code, words) => {
    expect(tlsRemedy(code)).toContain(words);
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT'])('leaves %s to retries', (code) => {
    expect(tlsRemedy(code)).toBeUndefined();
  });
});
