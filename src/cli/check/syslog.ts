import type { Context } from '../../app/context.ts';
import { peerValidity } from '../../lib/certificate.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import { targetOf } from '../../sinks/syslog/address.ts';
import type { SyslogOptions } from '../../sinks/syslog/options.ts';
import { judgeDates } from './certificate.ts';
import { type Finding, timed } from './finding.ts';

/** The dates of the collector's certificate and of ours; nothing where no TLS is spoken. */
export async function checkCertificate(
  options: SyslogOptions,
  { now }: Context,
  label: (what: string) => string,
  stop: AbortSignal,
): Promise<Finding[]> {
  const target = targetOf(options.address);
  if (target.transport !== 'tls' && target.transport !== 'relp+tls') return [];
  const { host, port } = target;
  const tls = tlsMaterial(options.tls);
  const findings = [
    await timed(async () => {
      const validity = await peerValidity({ host, port, tls, timeoutMs: options.timeout }, stop);
      return judgeDates(label('certificate'), validity, host, now());
    }),
  ];
  const client = tls?.clientCertificateExpiresMs;
  if (client !== undefined)
    findings.push(judgeDates(label('client certificate'), { fromMs: 0, toMs: client }, 'whoever made it', now()));
  return findings;
}
