import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import { type AuditEvent, type Cursor, eventValue } from '../../event/event.ts';
import { certificateFinding } from '../../lib/certificate.ts';
import { type Finding, failed, ok, skipped, timed, warning } from '../../lib/finding.ts';
import type { HttpAnswer, HttpClient, HttpFailure } from '../../lib/http.ts';
import { tlsRemedy } from '../../lib/http-answer.ts';
import { printable } from '../../lib/printable.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import { findEnd } from '../../pipeline/start-position.ts';
import type { AuditApi } from '../../source/audit-api.ts';
import { KeyScopeCheck } from '../../source/key-scope.ts';
import type { RateLimiter } from '../../source/rate-limiter.ts';
import { fetchOnce } from '../fetch-once.ts';
import { clockFinding } from './clock.ts';
import { checkConnectivity } from './connectivity.ts';

export interface SourceCheck {
  readonly config: Config;
  readonly ctx: Context;
  readonly rateLimiter: RateLimiter;
  /** The greatest id that a sink of this tenant has; 0n if no sink has one. */
  readonly head: Cursor;
  /** A page of this tenant was read in an earlier start. */
  readonly readBefore: boolean;
  readonly stop: AbortSignal;
}

/** An exchange with the API; `startedAtMs` is milliseconds since the epoch, local clock. */
interface Exchange {
  readonly outcome: HttpAnswer | HttpFailure;
  readonly startedAtMs: number;
}

/** Verifies every step to the API, then the key and what it may read. */
export async function checkSource(check: SourceCheck): Promise<Finding[]> {
  const { config, ctx, stop } = check;
  const connectivity = await checkConnectivity(config, ctx.env, stop);
  if (connectivity.some(({ result }) => result === 'failed')) return connectivity;
  using http = openHttp(config, { ...ctx, emit: () => {} });
  const exchanges: Exchange[] = [];
  const recording: HttpClient = {
    async request(request, signal) {
      const startedAtMs = ctx.now();
      const outcome = await http.request(request, signal);
      exchanges.push({ outcome, startedAtMs });
      return outcome;
    },
    [Symbol.dispose]() {},
  };
  const parts = { http: recording, rateLimiter: check.rateLimiter, emit: () => {}, readBefore: check.readBefore };
  const api = openApi(config, ctx, parts);
  const signals = { graceful: stop, forced: stop };
  const startMs = performance.now();
  const answer = await fetchOnce(api, check.head, signals);
  const elapsedMs = Math.round(performance.now() - startMs);
  const exchange = exchanges.at(-1);
  const findings = [...connectivity, ...tlsFindings(exchange, config, ctx.now())];
  if (answer?.kind !== 'page') {
    const isFailed = findings.some(({ result }) => result === 'failed');
    findings.push(
      isFailed ? skipped('API key', 'not tested without a connection') : { ...keyFinding(answer), elapsedMs },
    );
    return findings;
  }
  findings.push({ ...ok('API key', `accepted by ${config.source.url}`), elapsedMs });
  findings.push(await timed(() => checkRestriction(check, recording)));
  findings.push(await timed(() => checkNewest(check, api, answer.page.events)));
  if (exchange?.outcome.kind === 'answer') findings.push(clockFinding(exchange.outcome, exchange.startedAtMs));
  return findings;
}

/** What any answer shows about the connection. */
function tlsFindings(exchange: Exchange | undefined, config: Config, nowMs: number): Finding[] {
  const { url, tls } = config.source;
  if (exchange === undefined || !url.startsWith('https:')) return [];
  const { outcome } = exchange;
  const findings: Finding[] = [];
  if (outcome.kind === 'answer')
    findings.push(certificateFinding('source TLS', outcome.certificate, new URL(url).hostname, nowMs));
  else {
    const remedy = tlsRemedy(outcome.code);
    if (remedy !== undefined)
      findings.push(failed('source TLS', 'unreachable', `${outcome.detail} (${outcome.code})`, remedy));
  }
  const client = tlsMaterial(tls)?.clientCertificateExpiresMs;
  if (client !== undefined)
    findings.push(certificateFinding('source client TLS', { fromMs: 0, toMs: client }, 'its issuer', nowMs));
  return findings;
}

/** Why the API returned no page. */
function keyFinding(answer: Exclude<Awaited<ReturnType<AuditApi['fetch']>>, { kind: 'page' }>): Finding {
  if (answer === undefined) return skipped('API key', 'interrupted');
  const { reason, detail } = answer;
  if ('causes' in answer) {
    const [first = 'look at the key', ...more] = answer.causes;
    return failed('API key', 'key', detail, first, ...more);
  }
  if (answer.kind === 'stop' && reason === 'address')
    return failed('API key', 'config', detail, 'correct source.url: it is the address at which you open QA Sphere');
  if (answer.kind === 'stop') return failed('API key', 'bug', detail, 'report it with this line');
  return failed('API key', 'unreachable', `not known: ${detail}`, remedies[reason] ?? 'run check again in a while');
}

const remedies: Readonly<Record<string, string>> = {
  network: 'find out whether a firewall or a proxy blocks this host on its way to source.url',
  timeout: 'find out whether a firewall or a proxy delays or drops the answer, or raise source.timeout',
  throttled: 'lower source.requestsPerSecond if something else uses the same key; else run check again in a while',
  server: 'run check again in a while; if it fails again, ask QA Sphere',
  address: 'open source.url in a browser and use the address that it leads to',
  malformed: 'find out what answers at source.url from this host: a captive portal, a proxy, or another server',
};

async function checkRestriction({ config, rateLimiter, stop }: SourceCheck, http: HttpClient): Promise<Finding> {
  const { url: origin, apiKey, authScheme, restrictedKey: policy } = config.source;
  if (policy === 'off') return skipped('key restriction', 'not tested: restrictedKey is off');
  const keyScope = new KeyScopeCheck({ origin, apiKey, authScheme, http, rateLimiter, emit: () => {}, policy });
  const scope = await keyScope.ask({ graceful: stop, forced: stop });
  if (scope === undefined) return skipped('key restriction', 'interrupted');
  if (scope.kind === 'restricted') return ok('key restriction', 'the key can read the audit log alone');
  if (scope.kind === 'retry') {
    const [unknown, again] = [`not known: ${scope.detail}`, 'run check again in a while'];
    return policy === 'require'
      ? failed('key restriction', 'unreachable', `${unknown}; nothing is delivered before it is known`, again)
      : warning('key restriction', unknown, again);
  }
  const remedy = 'replace it by a key whose name begins with SIEM-LOG-ONLY-: such a key can read the audit log alone';
  const detail = `the key can do more than read the audit log: ${scope.detail}`;
  return policy === 'require'
    ? failed('key restriction', 'key', detail, remedy)
    : warning('key restriction', detail, remedy);
}

/** `events` is the page after `head`. If it is full, bisection finds the newest event. */
async function checkNewest(check: SourceCheck, api: AuditApi, events: readonly AuditEvent[]): Promise<Finding> {
  const { config, head, stop } = check;
  const signals = { graceful: stop, forced: stop };
  const page = async (after: Cursor, count?: number) => {
    const answer = await fetchOnce(api, after, signals, count);
    return answer?.kind === 'page' ? answer.page : undefined;
  };
  if (events.length < config.source.pageSize) {
    const waiting = head === 0n ? `${events.length} in total` : `${events.length} newer than what the sinks have`;
    const newest = events.at(-1) ?? (head === 0n ? undefined : (await page(head - 1n, 1))?.events.at(0));
    return ok('newest event', newest === undefined ? 'the log is empty' : `${describe(newest)}; ${waiting}`);
  }
  const source = {
    lastError: undefined,
    page: (after: Cursor) => page(after),
    peek: (after: Cursor) => page(after, 1),
  };
  const end = await findEnd(source, signals);
  const newest = end === undefined ? undefined : (await page(end > 0n ? end - 1n : 0n, 1))?.events.at(0);
  if (newest === undefined) return warning('newest event', `not known; at least ${describe(events.at(-1))}`);
  return ok('newest event', `${describe(newest)}; more than ${events.length} newer than what the sinks have`);
}

function describe(event: AuditEvent | undefined): string {
  if (event === undefined) return 'none';
  const { createdAt } = eventValue(event);
  const when = typeof createdAt === 'string' ? printable(createdAt, 40) : 'without a time';
  return `${event.id} (${when}, ${printable(event.action, 60)})`;
}
