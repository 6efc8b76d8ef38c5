import { connect, isIP, type Socket } from 'node:net';
import { TLSSocket, connect as tlsConnect } from 'node:tls';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';
import { attemptTimeoutMs } from './reach.ts';
import type { TlsMaterial } from './tls.ts';

/** When a certificate becomes valid and when it expires, milliseconds since the epoch. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The validity of the certificate that the other side of a connected socket presented; undefined if there is none. */
export function validityOf(socket: Socket | null | undefined): Validity | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate();
  const validity = { fromMs: Date.parse(from ?? ''), toMs: Date.parse(to ?? '') };
  return Number.isNaN(validity.fromMs) || Number.isNaN(validity.toMs) ? undefined : validity;
}

export interface PeerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMaterial | undefined;
  /** For connection and handshake together, milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Connects, reads the certificate, trusted or not, and closes. Undefined if none is presented in time. Never rejects.
 */
export async function peerValidity(options: PeerOptions, signal: AbortSignal): Promise<Validity | undefined> {
  const { host, port, tls, timeoutMs } = options;
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<Validity | undefined>();
  const end = () => resolve(undefined);
  const autoSelectFamilyAttemptTimeout = attemptTimeoutMs(timeoutMs);
  const raw = connect({ host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout }).on('error', end);
  const servername = tls?.secure.servername ?? (isIP(host) === 0 ? host : '');
  const secure = tlsConnect({ ...tls?.secure, socket: raw, host, servername, rejectUnauthorized: false })
    .on('error', end)
    .on('close', end)
    .once('secureConnect', () => resolve(validityOf(secure)));
  const timer = setTimeout(end, timeoutMs);
  signal.addEventListener('abort', end);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    secure.destroy();
    raw.destroy();
  }
}

const dayMs = 86_400_000;

/** How many days before its end a certificate is warned about. */
export const expiryWarningDays = 21;

/** Whole days until `endsAtMs`; negative after it. */
export const daysUntil = (endsAtMs: number, nowMs: number): number => Math.floor((endsAtMs - nowMs) / dayMs);

/** Reports the dates of a certificate to `check`; `owner` is who must renew it. */
export function certificateFinding(
  check: string,
  validity: Validity | undefined,
  owner: string,
  nowMs: number,
): Finding {
  if (validity === undefined) return skipped(check, `${owner} presented no certificate`);
  const { fromMs, toMs } = validity;
  const until = new Date(toMs).toISOString();
  if (fromMs > nowMs) {
    const detail = `the certificate is not valid before ${new Date(fromMs).toISOString()}`;
    return failed(check, 'unreachable', detail, 'compare the clocks of both sides');
  }
  if (toMs <= nowMs)
    return failed(check, 'unreachable', `the certificate expired at ${until}`, `have it renewed by ${owner}`);
  const days = daysUntil(toMs, nowMs);
  const detail = `the certificate is valid until ${until} (${days} days)`;
  return days <= expiryWarningDays ? warning(check, detail, `have it renewed by ${owner}`) : ok(check, detail);
}
