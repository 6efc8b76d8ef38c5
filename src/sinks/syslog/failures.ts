import { errorCode, errorText } from '../../lib/network-error.ts';
import { printable } from '../../lib/printable.ts';
import type { Retry, Stop } from '../../lib/verdict.ts';

/** Why a connection could not be opened or was lost. */
export interface ConnectionFailure {
  readonly verdict: Retry | Stop;
  /** The system's or OpenSSL's code, for example ECONNREFUSED. */
  readonly code: string;
}

export const retryFailure = (reason: Retry['reason'], detail: string, code = ''): ConnectionFailure => ({
  verdict: { kind: 'retry', reason, detail },
  code,
});

export const closedByUs = (where: string): Retry => ({
  kind: 'retry',
  reason: 'network',
  detail: `${where}: we closed the connection`,
});

/** The collector answered a half-close, but it may have been shutting down. */
export const unproven = (where: string, why: string): Retry => ({
  kind: 'retry',
  reason: 'network',
  detail: `${where}: closed when asked to, and no lasting connection followed (${why}): was the collector stopped?`,
});

/** A failure without a stated reason, with a question that may lead to it. */
export function withHint(failure: ConnectionFailure, question: string): ConnectionFailure {
  const { verdict } = failure;
  if (verdict.kind === 'stop' || !/closed|ECONNRESET|EPIPE|disconnected/.test(verdict.detail)) return failure;
  return { ...failure, verdict: { ...verdict, detail: `${verdict.detail}: ${question}` } };
}

/** OpenSSL's verification results (X509_verify_cert_error_string) and Node's that only a person can change. */
const notTrusted =
  /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$|ERR_TLS_CERT_|ERR_TLS_FINGERPRINT$|ERROR_IN_CERT_)/;
const clientRefused =
  /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_(UNKNOWN|EXPIRED|REVOKED)|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|NO_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR)/;
const handshakeRefused = /ALERT_HANDSHAKE_FAILURE|ALERT_INSUFFICIENT_SECURITY/;
const wrongVersion = /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/;
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/;
const notPermitted = /^(EACCES|EPERM)$/;

/** Codes that only a person can change, with what to say. */
const permanent: readonly {
  readonly codes: RegExp;
  readonly reason: Stop['reason'];
  readonly detail: (where: string, message: string, code: string) => string;
}[] = [
  {
    codes: notTrusted,
    reason: 'auth',
    detail: (where, message, code) => `${where}: the certificate is not trusted (${message}): ${remedyFor(code)}`,
  },
  {
    codes: clientRefused,
    reason: 'auth',
    detail: (where, message) =>
      `${where}: the collector refused our client certificate (${message}): set tls.certFile and tls.keyFile to one it trusts`,
  },
  {
    codes: handshakeRefused,
    reason: 'auth',
    detail: (where, message) =>
      `${where}: the collector refused the handshake (${message}): it may require a client certificate (tls.certFile and tls.keyFile), or shares no cipher`,
  },
  {
    codes: wrongVersion,
    reason: 'auth',
    detail: (where, message) =>
      `${where}: no common TLS version (${message}): lower tls.minVersion or raise the collector's version`,
  },
  {
    codes: noTls,
    reason: 'address',
    detail: (where) => `${where} does not speak TLS: use its TLS port, or tcp:// instead of tls://`,
  },
  {
    codes: notPermitted,
    reason: 'auth',
    detail: (where, message) => `${where}: ${message}: give this user permission to write to it`,
  },
];

/** What an error of a socket means for `where`, an address fit for a log line. */
export function failureOf(error: NodeJS.ErrnoException, where: string): ConnectionFailure {
  const code = errorCode(error);
  const message = error instanceof AggregateError ? errorText(error) : printable(reasonIn(error.message));
  const rule = permanent.find(({ codes }) => codes.test(code));
  if (rule === undefined)
    return retryFailure(code === 'ETIMEDOUT' ? 'timeout' : 'network', `${where}: ${message}`, code);
  return { verdict: { kind: 'stop', reason: rule.reason, detail: rule.detail(where, message, code) }, code };
}

/** OpenSSL's messages contain file names and line numbers; only the reason helps. */
function reasonIn(message: string): string {
  return /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
}

function remedyFor(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'the collector needs a new certificate';
  if (code === 'CERT_NOT_YET_VALID') return 'check the clocks of both sides';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return 'set tls.servername to a name in the certificate, or use that name in the address';
  if (code === 'ERR_TLS_FINGERPRINT') return 'set tls.fingerprint256 to the new value if the change is expected';
  return 'set tls.caFile to the authority that signed it';
}
