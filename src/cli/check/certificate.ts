import type { Validity } from '../../lib/certificate.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';

const dayMs = 86_400_000;
/** A certificate that ends within so many days is warned about. */
const aheadDays = 21;

/** The dates of a certificate; `whose` is who must renew it. */
export function judgeDates(check: string, validity: Validity | undefined, whose: string, nowMs: number): Finding {
  if (validity === undefined) return skipped(check, `${whose} showed no certificate`);
  const { fromMs, toMs } = validity;
  const days = Math.floor((toMs - nowMs) / dayMs);
  const until = new Date(toMs).toISOString();
  if (fromMs > nowMs)
    return failed(
      check,
      'unreachable',
      `the certificate is valid from ${new Date(fromMs).toISOString()} on`,
      'compare the clocks of both sides',
    );
  if (toMs <= nowMs)
    return failed(check, 'unreachable', `the certificate ended at ${until}`, `have it renewed by ${whose}`);
  const said = `the certificate is valid until ${until} (${days} days)`;
  return days <= aheadDays ? warning(check, said, `have it renewed by ${whose}`) : ok(check, said);
}
