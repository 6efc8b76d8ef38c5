/** Longest wait another side may ask for, milliseconds. */
const MAX_RETRY_AFTER_MS = 300_000;

/**
 * Milliseconds since the epoch of an HTTP date (RFC 9110 section 5.6.7, the obsolete forms included); undefined if there is
 * none or it is unreadable. A date without a zone is GMT.
 */
export function httpDateMs(header: string | undefined): number | undefined {
  const text = header?.trim() ?? '';
  // Every form of an HTTP date starts with a day's name; Date.parse alone would take "-5" for a year.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/i.test(text)) return undefined;
  const ms = Date.parse(/(GMT|UTC)$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * Milliseconds that a Retry-After header asks to wait (RFC 9110 section 10.2.3: seconds, or an HTTP date), at most five
 * minutes; undefined if there is none or it is unreadable. A date in the past is 0.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  const at = httpDateMs(text);
  return at === undefined ? undefined : Math.min(Math.max(at - nowMs, 0), MAX_RETRY_AFTER_MS);
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_(UNTRUSTED|REJECTED|SIGNATURE_FAILURE)|INVALID_CA|CERT_CHAIN/, 'name the authority that signed the certificate in tls.caFile'],
  [/ALTNAME|HOSTNAME_MISMATCH/, 'the certificate is for another name: correct the address, or set tls.servername'],
  [/CERT_HAS_EXPIRED/, 'the certificate has expired: it must be renewed on the other side'],
  [/CERT_NOT_YET_VALID/, 'the certificate is not valid yet: compare the clocks'],
  [/CERT_REVOKED|INVALID_PURPOSE/, 'the certificate must be replaced on the other side'],
  [/TLS_FINGERPRINT/, 'the certificate is not the one in tls.fingerprint256'],
  [/ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE|NO_CERTIFICATE|ACCESS_DENIED)|ALERT_HANDSHAKE_FAILURE/, 'the other side does not accept our client certificate: see tls.certFile and tls.keyFile'],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE/, 'no common TLS version: see tls.minVersion'],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/, 'the port does not speak TLS'],
]; // biome-ignore format: a table

/** The remedy for a TLS error that no retry cures, by Node's or OpenSSL's code; undefined for any other code. */
export function tlsRemedy(code: string): string | undefined {
  return remedies.find(([pattern]) => pattern.test(code))?.[1];
}
