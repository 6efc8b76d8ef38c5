import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import type { BenchServer, ServerOptions } from './servers.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** `simulate` as it is built. Without a limit it stands behind a memory: what a page costs the API is not measured. */
export async function startSource({
  events = 0,
  rate = 0,
  perSecond,
  latencyMs = 0,
  pageSize = 1000,
}: ServerOptions): Promise<BenchServer> {
  const requestsPerSecond = perSecond ?? Number.POSITIVE_INFINITY;
  const api = await startSimulator({
    events,
    rate,
    requestsPerSecond,
    latencyMs: perSecond === undefined ? 0 : latencyMs,
  });
  const same = { token: 'SIEM-LOG-ONLY-demo', caFile: '' };
  if (perSecond !== undefined || rate > 0) return { ...same, url: api.url, count: () => api.requestCount };
  const front = await remembering(api.url, latencyMs);
  const { generated } = api;
  const ends = Array.from({ length: Math.floor(events / pageSize) + 1 }, (_, page) => page * pageSize);
  for (const end of ends) await front.learn(`${end === 0 ? 0 : generated?.idAt(end - 1)}`, pageSize, same.token);
  return { ...same, ...front };
}

/** Hands on each question once, and answers the same question from memory from then on; `learn` asks beforehand. */
async function remembering(api: string, latencyMs: number) {
  const known = new Map<string, Promise<Answer>>();
  let count = 0;
  const remembered = (url: string, authorization: string, zips: boolean) => {
    const key = `${url} ${authorization} ${zips}`;
    const kept = known.get(key) ?? ask(api + url, { authorization, 'accept-encoding': zips ? 'gzip' : 'identity' });
    known.set(key, kept);
    return kept;
  };
  const server = createServer(async (asked, response) => {
    count++;
    const { url = '/', headers } = asked;
    const zips = /\bgzip\b/.test(String(headers['accept-encoding']));
    const kept = remembered(url, headers.authorization ?? '', zips);
    if (latencyMs > 0) await sleep(latencyMs);
    const { status, headers: told, body } = await kept;
    const carried: OutgoingHttpHeaders = { 'content-length': body.length };
    for (const name of ['content-type', 'content-encoding', 'vary']) if (told[name]) carried[name] = told[name];
    response.writeHead(status, carried).end(body);
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    learn: (after: string, size: number, token: string) =>
      remembered(`/api/public/v0/audit-logs?after=${after}&count=${size}`, `Bearer ${token}`, true),
  };
}

function ask(url: string, headers: OutgoingHttpHeaders): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, async (answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk);
      resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(chunks) });
    });
    sent.on('error', reject);
    sent.end();
  });
}
