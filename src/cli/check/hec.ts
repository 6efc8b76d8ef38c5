import type { Context } from '../../app/context.ts';
import { httpClient } from '../../lib/http.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import type { SplunkHecOptions } from '../../sinks/splunk-hec/options.ts';
import { judge, judgeFailure } from '../../sinks/splunk-hec/verdicts.ts';
import { judgeDates } from './certificate.ts';
import { type Finding, failed, ok, timed, warning } from './finding.ts';

const path = '/services/collector/health';
const maxAnswerBytes = 64 * 1024;

/** Splunk's health endpoint, which wants no token, and the certificate on the way. */
export async function checkHealth(
  options: SplunkHecOptions,
  { version, env, now }: Context,
  label: (what: string) => string,
  stop: AbortSignal,
): Promise<{ findings: Finding[]; reached: boolean }> {
  const material = tlsMaterial(options.tls);
  using http = httpClient({
    timeoutMs: options.timeout,
    maxBodyBytes: maxAnswerBytes,
    largeBody: 'cut',
    userAgent: `qasphere-siem-forwarder/${version}`,
    tls: material,
    proxy: options.proxy,
    env,
  });
  const dates: Finding[] = [];
  let reached = true;
  const health = await timed(async () => {
    const answer = await http.request({ method: 'GET', url: options.url + path, headers: {} }, stop);
    if (answer.kind === 'failure') {
      reached = false;
      const { detail, reason } = judgeFailure(answer) as { detail: string; reason: string };
      const remedy =
        reason === 'auth'
          ? 'correct tls of this sink, or the certificate of the collector, as said above'
          : 'correct url, or let this host through to it (firewall, proxy), or start the collector';
      return failed(label('health'), 'unreachable', detail, remedy);
    }
    const { hostname, protocol } = new URL(options.url);
    if (protocol === 'https:') dates.push(judgeDates(label('certificate'), answer.certificate, hostname, now()));
    const { verdict } = judge(answer, { events: 0, url: options.url + path, nowMs: now() });
    if (verdict.kind === 'accepted') return ok(label('health'), `${options.url} is up`);
    if (verdict.reason === 'throttled' || verdict.reason === 'server')
      return failed(label('health'), 'unreachable', verdict.detail, 'it passes by itself, or see to the indexers');
    // Some load balancers let only the data endpoints through: the token tells more.
    return warning(label('health'), `not told: ${verdict.detail}`);
  });
  const client = material?.clientCertificateExpiresMs;
  if (client !== undefined)
    dates.push(judgeDates(label('client certificate'), { fromMs: 0, toMs: client }, 'whoever made it', now()));
  return { findings: [health, ...dates], reached };
}
