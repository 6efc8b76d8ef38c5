import { printable } from '../../lib/printable.ts';
import type { Retry, Stop } from '../../lib/verdict.ts';

/** A connection that could not be made or kept. */
export interface ConnectionFailure {
  readonly verdict: Retry | Stop;
  /** The system's or OpenSSL's code, for example ECONNREFUSED. */
  readonly code: string;
}

export const retryFault = (reason: Retry['reason'], detail: string, code = ''): ConnectionFailure => ({
  verdict: { kind: 'retry', reason, detail },
  code,
});

export const closedByUs = (where: string): Retry => ({
  kind: 'retry',
  reason: 'network',
  detail: `${where}: we closed the connection`,
});

/** What a close has answered that may be that of a collector which is stopped. */
export const unproven = (where: string, why: string): Retry => ({
  kind: 'retry',
  reason: 'network',
  detail: `${where}: closed when asked to, and no connection that lasts followed (${why}): was it stopped?`,
});

/** A fault that may have a reason nobody told, with a question that leads to it. */
export function hinted(fault: ConnectionFailure, question: string): ConnectionFailure {
  if (fault.verdict.kind === 'stop' || !/closed|ECONNRESET|EPIPE|disconnected/.test(fault.verdict.detail)) return fault;
  return { ...fault, verdict: { ...fault.verdict, detail: `${fault.verdict.detail}: ${question}` } };
}

const stopFault = (reason: Stop['reason'], detail: string, code: string): ConnectionFailure => ({
  verdict: { kind: 'stop', reason, detail },
  code,
});

/** OpenSSL's verification results (X509_verify_cert_error_string) and Node's, that only a person can change. */
const notTrusted =
  /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$|ERR_TLS_CERT_|ERR_TLS_FINGERPRINT$|ERROR_IN_CERT_)/;
const clientRefused =
  /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_(UNKNOWN|EXPIRED|REVOKED)|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|NO_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR)/;
const handshakeRefused = /ALERT_HANDSHAKE_FAILURE|ALERT_INSUFFICIENT_SECURITY/;
const wrongVersion = /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/;
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/;

/** What an error of a socket means for `where`, an address fit for a log line. */
export function failureOf(error: unknown, where: string): ConnectionFailure {
  const { code: given, message } = error as NodeJS.ErrnoException;
  const each = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
  const code = String(given ?? each[0]?.code ?? 'ERR_UNKNOWN');
  const said = printable(each.length > 0 ? each.map((one) => one.message).join('; ') : sayingOf(message ?? code));
  if (notTrusted.test(code))
    return stopFault('auth', `${where}: the certificate is not trusted (${said}): ${remedyFor(code)}`, code);
  if (clientRefused.test(code))
    return stopFault(
      'auth',
      `${where}: the collector refused our client certificate (${said}): set tls.certFile and tls.keyFile to one it trusts`,
      code,
    );
  if (handshakeRefused.test(code))
    return stopFault(
      'auth',
      `${where}: the collector refused the handshake (${said}): it may ask for a client certificate (tls.certFile and tls.keyFile), or share no cipher`,
      code,
    );
  if (wrongVersion.test(code))
    return stopFault('auth', `${where}: no common TLS version (${said}): lower tls.minVersion or raise theirs`, code);
  if (noTls.test(code))
    return stopFault('address', `${where} does not speak TLS: use its TLS port, or tcp:// in place of tls://`, code);
  if (code === 'EACCES' || code === 'EPERM')
    return stopFault('auth', `${where}: ${said}: give this user the right to write to it`, code);
  return retryFault(code === 'ETIMEDOUT' ? 'timeout' : 'network', `${where}: ${said}`, code);
}

/** OpenSSL's messages hold file names and line numbers: the reason alone is for people. */
function sayingOf(message: string): string {
  return /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
}

function remedyFor(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'the collector needs a new certificate';
  if (code === 'CERT_NOT_YET_VALID') return 'check the clocks of both sides';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return 'set tls.servername to a name it holds, or the address to that name';
  if (code === 'ERR_TLS_FINGERPRINT') return 'set tls.fingerprint256 anew if the change is known';
  return 'set tls.caFile to the authority that signed it';
}
