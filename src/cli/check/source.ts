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
  /** The greatest id that a sink of this tenant has; 0n where none has any. */
  readonly head: Cursor;
  /** A page of this tenant was read in an earlier start. */
  readonly readBefore: boolean;
  readonly stop: AbortSignal;
}

/** The last exchange with the API, and when it began (milliseconds since the epoch, local clock). */
interface Exchange {
  readonly outcome: HttpAnswer | HttpFailure;
  readonly startedAtMs: number;
}

/** Every step towards the API, the key, and what it gives. */
export async function checkSource(check: SourceCheck): Promise<Finding[]> {
  const { config, ctx, stop } = check;
  const way = await checkConnectivity(config, ctx.env, stop);
  if (way.some(({ result }) => result === 'failed')) return way;
  using http = openHttp(config, { ...ctx, emit: () => {} });
  const exchanges: Exchange[] = [];
  const listening: HttpClient = {
    async request(request, signal) {
      const startedAtMs = ctx.now();
      const outcome = await http.request(request, signal);
      exchanges.push({ outcome, startedAtMs });
      return outcome;
    },
    [Symbol.dispose]() {},
  };
  const parts = { http: listening, rateLimiter: check.rateLimiter, emit: () => {}, readBefore: check.readBefore };
  const api = openApi(config, ctx, parts);
  const signals = { graceful: stop, forced: stop };
  const startMs = performance.now();
  const answer = await fetchOnce(api, check.head, signals);
  const elapsedMs = Math.round(performance.now() - startMs);
  const exchange = exchanges.at(-1);
  const findings = [...way, ...answered(exchange, config, ctx.now())];
  if (answer?.kind !== 'page') {
    const broken = findings.some(({ result }) => result === 'failed');
    findings.push(broken ? skipped('API key', 'not asked without a connection') : { ...unanswered(answer), elapsedMs });
    return findings;
  }
  findings.push({ ...ok('API key', `accepted by ${config.source.url}`), elapsedMs });
  findings.push(await timed(() => checkRestriction(check, listening)));
  findings.push(await timed(() => checkNewest(check, api, answer.page.events)));
  if (exchange?.outcome.kind === 'answer') findings.push(clockFinding(exchange.outcome, exchange.startedAtMs));
  return findings;
}

/** What an answer of any kind tells of the connection. */
function answered(exchange: Exchange | undefined, config: Config, nowMs: number): Finding[] {
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

/** Why there is no page, by the API's own judgement. */
function unanswered(answer: Exclude<Awaited<ReturnType<AuditApi['fetch']>>, { kind: 'page' }>): Finding {
  if (answer === undefined) return skipped('API key', 'interrupted');
  const { reason, detail } = answer;
  if ('causes' in answer) {
    const [first = 'look at the key', ...more] = answer.causes;
    return failed('API key', 'key', detail, first, ...more);
  }
  if (answer.kind === 'stop' && reason === 'address')
    return failed('API key', 'config', detail, 'correct source.url: it is the address that QA Sphere is opened at');
  if (answer.kind === 'stop') return failed('API key', 'bug', detail, 'report it, with this line');
  return failed('API key', 'unreachable', `not known: ${detail}`, passing[reason] ?? 'run check again in a while');
}

const passing: Readonly<Record<string, string>> = {
  network:
    'see whether a firewall or a proxy lets this host through to source.url; a set-up that is right passes by itself',
  timeout: 'see whether a firewall or a proxy slows or swallows the answer, or raise source.timeout',
  throttled: 'lower source.requestsPerSecond if something else uses the same key; else run check again in a while',
  server: 'run check again in a while; if it stays, ask QA Sphere',
  address: 'open source.url in a browser and use the address that it ends at',
  malformed: 'see what answers at source.url from this host: a captive portal, a proxy, or another server',
};

async function checkRestriction({ config, rateLimiter, stop }: SourceCheck, http: HttpClient): Promise<Finding> {
  const { url: origin, apiKey, authScheme, restrictedKey: policy } = config.source;
  if (policy === 'off') return skipped('key restriction', 'not looked at: restrictedKey is off');
  const keyScope = new KeyScopeCheck({ origin, apiKey, authScheme, http, rateLimiter, emit: () => {}, policy });
  const scope = await keyScope.ask({ graceful: stop, forced: stop });
  if (scope === undefined) return skipped('key restriction', 'interrupted');
  if (scope.kind === 'restricted') return ok('key restriction', 'the key can read the audit log alone');
  if (scope.kind === 'retry')
    return warning('key restriction', `not known: ${scope.detail}`, 'run check again in a while');
  const remedy = 'replace it by a key whose name begins with SIEM-LOG-ONLY-: such a key can read the audit log alone';
  const detail = `the key can do more than read the audit log: ${scope.detail}`;
  return policy === 'require'
    ? failed('key restriction', 'key', detail, remedy)
    : warning('key restriction', detail, remedy);
}

/** `events` is the page after `head`. Where it is full the newest event is found by bisecting. */
async function checkNewest(check: SourceCheck, api: AuditApi, events: readonly AuditEvent[]): Promise<Finding> {
  const { config, head, stop } = check;
  const signals = { graceful: stop, forced: stop };
  const page = async (after: Cursor, count?: number) => {
    const answer = await fetchOnce(api, after, signals, count);
    return answer?.kind === 'page' ? answer.page : undefined;
  };
  if (events.length < config.source.pageSize) {
    const waiting = head === 0n ? `${events.length} in all` : `${events.length} newer than what the sinks have`;
    const newest = events.at(-1) ?? (head === 0n ? undefined : (await page(head - 1n, 1))?.events.at(0));
    return ok('newest event', newest === undefined ? 'the log is empty' : `${inWords(newest)}; ${waiting}`);
  }
  const source = {
    lastError: undefined,
    page: (after: Cursor) => page(after),
    peek: (after: Cursor) => page(after, 1),
  };
  const end = await findEnd(source, signals);
  const newest = end === undefined ? undefined : (await page(end > 0n ? end - 1n : 0n, 1))?.events.at(0);
  if (newest === undefined) return warning('newest event', `not known; at least ${inWords(events.at(-1))}`);
  return ok('newest event', `${inWords(newest)}; more than ${events.length} newer than what the sinks have`);
}

function inWords(event: AuditEvent | undefined): string {
  if (event === undefined) return 'none';
  const { createdAt } = eventValue(event);
  const when = typeof createdAt === 'string' ? printable(createdAt, 40) : 'without a time';
  return `${event.id} (${when}, ${printable(event.action, 60)})`;
}
