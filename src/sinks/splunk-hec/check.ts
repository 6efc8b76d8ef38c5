import { certificateFinding } from '../../lib/certificate.ts';
import { type Finding, failed, ok, timed, warning } from '../../lib/finding.ts';
import { type HttpAnswer, type HttpFailure, httpClient } from '../../lib/http.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import type { CheckDeps } from '../definition.ts';
import { failureVerdict } from '../http-batch.ts';
import type { SplunkHecOptions } from './options.ts';
import { paths } from './requests.ts';
import { maxAnswerBytes } from './sink.ts';
import { answerVerdict } from './verdicts.ts';

/** Splunk's health endpoint, which requires no token; the certificates; then the token if the collector answered. */
export async function* checkSplunkHec(options: SplunkHecOptions, deps: CheckDeps): AsyncGenerator<Finding> {
  const { version, env, now, label, signal } = deps;
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
  const urls = [options.url, ...options.otherUrls];
  let isReachable = false;
  for (const url of urls) {
    const { hostname, host, protocol } = new URL(url);
    const of = (what: string) => label(urls.length === 1 ? what : `${what} of ${host}`);
    let answer: HttpAnswer | undefined;
    yield await timed(async () => {
      const result = await http.request({ method: 'GET', url: url + paths.health, headers: {} }, signal);
      if (result.kind === 'failure') return unreachable(of('health'), result);
      answer = result;
      return healthFinding(of('health'), result, url, now());
    });
    isReachable ||= answer !== undefined;
    if (answer !== undefined && protocol === 'https:')
      yield certificateFinding(of('certificate'), answer.certificate, hostname, now());
  }
  const client = material?.clientCertificateExpiresMs;
  if (client !== undefined)
    yield certificateFinding(label('client certificate'), { fromMs: 0, toMs: client }, 'its issuer', now());
  if (isReachable) yield await deps.probe();
}

function unreachable(check: string, failure: HttpFailure): Finding {
  const { detail, reason } = failureVerdict(failure, { events: 0, bytes: 0 });
  const remedy =
    reason === 'auth'
      ? 'correct tls of this sink, or the certificate of the collector, as said above'
      : 'correct url, or let this host through to it (firewall, proxy), or start the collector';
  return failed(check, 'unreachable', detail, remedy);
}

function healthFinding(check: string, answer: HttpAnswer, url: string, nowMs: number): Finding {
  const { verdict } = answerVerdict(answer, { events: 0, bytes: 0, url: url + paths.health, nowMs });
  if (verdict.kind === 'accepted') return ok(check, `${url} is up`);
  if (verdict.reason === 'throttled' || verdict.reason === 'server')
    return failed(check, 'unreachable', verdict.detail, 'usually passes without action; if not, check the indexers');
  // Some load balancers let only the data endpoints through: the token's check says more.
  return warning(check, `unknown: ${verdict.detail}`);
}
