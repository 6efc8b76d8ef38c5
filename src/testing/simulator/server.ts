import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep } from '../../lib/shutdown.ts';
import { type Answer, rule, slidingWindow } from './auth.ts';
import { lastIdOf } from './event-log.ts';
import { faultPlan, statusOf } from './faults.ts';
import { httpDate, injectFault } from './http-faults.ts';
import { logsOf } from './logs.ts';
import { pagesOf } from './pages.ts';
import { Prng } from './prng.ts';
import type { SimulatedRequest, Simulator, SimulatorOptions } from './simulator.ts';

export type { Simulator, SimulatorOptions } from './simulator.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const keptRequests = 10_000;

/** Starts the API. @throws the system's error where the port can't be had, such as EADDRINUSE */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const now = options.now ?? Date.now;
  const monotonic = options.monotonic ?? performance.now.bind(performance);
  const serverNow = () => now() + (options.clockOffsetMs ?? 0);
  const seed = options.seed ?? 1;
  const logs = logsOf(options, serverNow);
  const pages = pagesOf(logs.all);
  const dice = new Prng().aim(seed, 0);
  const plan = faultPlan(options.faults ?? [], options.random ?? (() => dice.share()));
  const admit = slidingWindow(options.requestsPerSecond ?? 20, monotonic);
  const journal = journalOf(monotonic);
  let key = options.key ?? 'SIEM-LOG-ONLY-demo';
  let turnedAway = 0;

  const gate = {
    get key() {
      return key;
    },
    get restricted() {
      return options.restricted ?? key.startsWith('SIEM-LOG-ONLY');
    },
    admit() {
      if (admit()) return undefined;
      turnedAway += 1;
      return retryAfter(options.retryAfter ?? 'alternating', turnedAway, serverNow());
    },
  };

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const asked = URL.parse(request.url ?? '/', 'http://simulator.invalid');
    const path = asked?.pathname ?? '';
    const seen = journal.note(request.method ?? '', path);
    const connection = new AbortController();
    response.once('close', () => connection.abort());
    const gone = connection.signal;
    // The client may be gone at any time; the error needs no report.
    response.on('error', () => {});
    response.sendDate = false;
    const { authorization } = request.headers;
    const ruling = rule({ method: seen.method, path, query: asked?.searchParams, authorization }, gate);
    if (ruling.kind === 'page') Object.assign(seen, { after: ruling.after, count: ruling.count });
    if (options.latencyMs !== undefined && options.latencyMs > 0) await sleep(options.latencyMs, gone);
    if (gone.aborted) return;

    if (options.dateHeader ?? true) response.setHeader('Date', httpDate(serverNow()));
    const send = (answer: Answer) => write(request, response, answer, options.gzip ?? true);
    if (ruling.kind === 'answer') {
      seen.status = ruling.answer.status;
      return send(ruling.answer);
    }
    const page = pages.body(ruling.after, Math.min(ruling.count, options.countCap ?? ruling.count));
    const fault = plan.next();
    if (fault === undefined) {
      seen.status = 200;
      return send({ status: 200, headers: { 'Content-Type': 'application/json; charset=utf-8' }, body: page });
    }
    seen.fault = fault;
    seen.status = statusOf(fault);
    return injectFault(fault, { request, response, gone, page, url, nowMs: serverNow(), send });
  };

  const { port, close } = await serve(handle, options.port ?? 0, options.host ?? '127.0.0.1');
  const url = `http://${options.host === '::1' ? '[::1]' : '127.0.0.1'}:${port}`;

  return {
    url,
    port,
    requests: journal.requests,
    get requestCount() {
      return journal.count;
    },
    generated: logs.generated,
    lastId: () => lastIdOf(logs.all),
    append(events) {
      pages.forget();
      logs.append(typeof events === 'string' ? [events] : events);
    },
    setFaults: (faults) => plan.set(faults),
    setKey(next) {
      key = next;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Listens until `close`, which ends every connection and waits for what was being answered. */
async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  port: number,
  host: string,
): Promise<{ port: number; close(): Promise<void> }> {
  const running = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const job = handle(request, response).finally(() => running.delete(job));
    running.add(job);
  });
  // A reader that polls every minute keeps its connection.
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  let closed: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      closed ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }).then(async () => {
        await Promise.allSettled(running);
      });
      return closed;
    },
  };
}

/** Remembers the newest requests. */
function journalOf(monotonic: () => number) {
  const requests: Mutable<SimulatedRequest>[] = [];
  return {
    requests,
    count: 0,
    note(method: string, path: string): Mutable<SimulatedRequest> {
      const seen = { method, path, atMs: monotonic(), status: 0 };
      this.count += 1;
      requests.push(seen);
      if (requests.length > 2 * keptRequests) requests.splice(0, keptRequests);
      return seen;
    },
  };
}

/** Few bytes are not worth compressing. */
const zippedFromBytes = 1024;

async function write(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  mayZip: boolean,
): Promise<void> {
  const accepted = /\bgzip\b(?!\s*;\s*q=0(\.0+)?\s*(,|$))/i.test(String(request.headers['accept-encoding'] ?? ''));
  const zip = mayZip && accepted && answer.body.bytes.length >= zippedFromBytes;
  const bytes = zip ? await answer.body.zipped() : answer.body.bytes;
  if (response.destroyed) return;
  const encoding = zip ? { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } : {};
  response.writeHead(answer.status, { ...answer.headers, ...encoding, 'Content-Length': bytes.length }).end(bytes);
}

function retryAfter(
  style: NonNullable<SimulatorOptions['retryAfter']>,
  turn: number,
  nowMs: number,
): Readonly<Record<string, string>> {
  if (style === 'none' || (style === 'alternating' && turn % 2 === 0)) return {};
  return { 'Retry-After': style === 'date' ? httpDate(nowMs + 2000) : '1' };
}
