import { existsSync } from 'node:fs';
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { attemptTimeoutMs } from './reach.ts';

/** For connections whose time-out Node does not know: to a proxy, or of a library. Milliseconds. */
const usualTimeoutMs = 10_000;

/**
 * Sets what Node has only as defaults of the process; called once, where the process starts. Every address of a name gets
 * a fair share of the time; with `tls` the system's certificate authorities are trusted beside Node's bundled list, as all
 * other programs on the machine trust them. Reading them takes about 0.2 s, so it is left out if nothing uses TLS.
 */
export function setNetworkDefaults({ tls }: { readonly tls: boolean }): void {
  setDefaultAutoSelectFamilyAttemptTimeout(attemptTimeoutMs(usualTimeoutMs));
  if (!tls || !hasSystemStore()) return;
  const trusted = new Set(getCACertificates('default'));
  const added = getCACertificates('system').filter((certificate) => !trusted.has(certificate));
  if (added.length > 0) setDefaultCACertificates([...trusted, ...added]);
}

/** An image without a certificate store is normal, but Node would print a warning to standard error. */
function hasSystemStore(): boolean {
  const { SSL_CERT_FILE, SSL_CERT_DIR } = process.env;
  if (process.platform !== 'linux' || SSL_CERT_FILE !== undefined || SSL_CERT_DIR !== undefined) return true;
  return existsSync('/etc/ssl/certs');
}
