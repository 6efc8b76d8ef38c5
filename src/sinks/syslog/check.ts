import { certificateFinding, peerValidity } from '../../lib/certificate.ts';
import { type Finding, timed } from '../../lib/finding.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import type { CheckDeps } from '../definition.ts';
import { type SyslogOptions, targetOf } from './options.ts';

/** The connection, then the dates of the collector's certificate and of ours if TLS is used. */
export async function* checkSyslog(options: SyslogOptions, deps: CheckDeps): AsyncGenerator<Finding> {
  yield await deps.probe();
  const target = targetOf(options.address);
  if (target.transport !== 'tls' && target.transport !== 'relp+tls') return;
  const { host, port } = target;
  const { label, now, signal } = deps;
  const tls = tlsMaterial(options.tls);
  yield await timed(async () => {
    const validity = await peerValidity({ host, port, tls, timeoutMs: options.timeout }, signal);
    return certificateFinding(label('certificate'), validity, host, now());
  });
  const client = tls?.clientCertificateExpiresMs;
  if (client !== undefined)
    yield certificateFinding(label('client certificate'), { fromMs: 0, toMs: client }, 'its issuer', now());
}
