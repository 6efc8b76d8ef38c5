import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { AckMemory } from './hec-acks.ts';
import { type Received, readEnvelopes } from './hec-parse.ts';
import type { Asked, HecServer, HecServerOptions, LoggedRequest } from './hec-types.ts';

export type { Fault, HecServer, HecServerOptions } from './hec-types.ts';

/** A collector as splunk.com's documents and those who measured it describe it, on loopback. */
export async function startHecServer(options: HecServerOptions = {}): Promise<HecServer> {
  const events: Received[] = [];
  const requests: LoggedRequest[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<{ condition: () => boolean; resolve: () => void }>();
  const memories = Array.from({ length: options.backends?.count ?? 1 }, () => new AckMemory());
  const given = new Map<string, LoggedRequest>();
  const counts = { data: 0, ack: 0, kept: 0 };
  let token = options.token ?? 'b7a1e2c4-0d6f-4c39-9a55-3f1d2e4c5b6a';
  let turn = 0;

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', 'http://localhost');
    const kind = kindOf(url.pathname);
    const header = request.headers['x-splunk-request-channel'];
    const channel = (Array.isArray(header) ? header[0] : header) ?? url.searchParams.get('channel') ?? undefined;
    const backend = backendOf(request);
    const entry: LoggedRequest = {
      kind,
      channel,
      headers: request.headers,
      bytes: sent.length,
      events: 0,
      acks: [],
      backend,
      ...(request.socket instanceof TLSSocket && { client: String(request.socket.getPeerCertificate().subject?.CN) }),
    };
    requests.push(entry);
    if (options.latencyMs !== undefined) await sleep(options.latencyMs);
    const say = (status: number, body: string | object, headers: Record<string, string | string[]> = {}) => {
      entry.status = status;
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const cookie = options.backends?.balance === 'sticky' ? { 'set-cookie': `${cookieName}=${backend}; Path=/` } : {};
      response.writeHead(status, {
        'content-type': typeof body === 'string' ? 'text/html' : 'application/json',
        ...cookie,
        ...headers,
      });
      response.end(text);
    };
    const code = (status: number, number: number, text: string, more: object = {}) =>
      say(status, { text, code: number, ...more });
    if (kind === 'health') return code(200, 17, 'HEC is healthy');
    if (kind === 'other' || request.method !== 'POST')
      return code(kind === 'other' ? 404 : 405, 404, 'The requested URL was not found on this server.');

    const asked: Asked = { n: counts[kind]++, kind, channel, headers: request.headers };
    const fault = options.fault?.(asked);
    if (typeof fault === 'object') return say(fault.status, fault.body ?? '', fault.headers);
    if (fault === 'reset-before') return request.socket.destroy();
    if (fault === 'hang-before') return;
    if (fault === 'not-found') return code(404, 404, 'The requested URL was not found on this server.');
    if (fault === 'busy') return code(503, 9, 'Server is busy');
    if (fault === 'error') return code(500, 8, 'Internal server error');
    if (fault === 'throttle') return code(429, 26, 'Server is busy');

    const refused = authorise(request, url);
    if (refused !== undefined) return code(...refused);
    if (kind === 'ack') {
      if (server.tokenState !== 'ack') return code(400, 14, 'ACK is disabled');
      if (channel === undefined) return code(400, 10, 'Data channel is missing');
      const { acks } = JSON.parse(sent.toString('utf8')) as { acks: number[] };
      Object.assign(entry, { acks, events: acks.length });
      const told = memoryOf(backend).ask(channel, acks);
      if (fault === 'lose-ack') return request.socket.destroy();
      for (const id of acks)
        if (told[id] === true) Object.assign(given.get(`${backend} ${channel} ${id}`) ?? {}, { confirmed: true });
      return say(200, { acks: told });
    }

    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'gzip') return say(415, page('Unsupported Media Type'));
    if (sent.length > (options.maxContentBytes ?? Number.POSITIVE_INFINITY))
      return say(413, page('Content-Length too large'));
    let body = sent;
    try {
      if (encoding === 'gzip') body = gunzipSync(sent);
    } catch {
      return say(400, page('Bad Request'));
    }
    if (server.tokenState === 'ack' && channel === undefined) return code(400, 10, 'Data channel is missing');
    if (channel !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(channel))
      return code(400, 11, 'Invalid data channel');
    if (body.length === 0) return code(400, 5, 'No data');

    if (options.countOnly === true) {
      let lines = 0;
      for (let at = body.indexOf(0x0a); at !== -1; at = body.indexOf(0x0a, at + 1)) lines++;
      counts.kept += lines;
      Object.assign(entry, { events: lines, kept: lines });
    } else {
      const read = readEnvelopes(body, options);
      Object.assign(entry, { events: read.events.length });
      if (read.refusal === undefined || options.keeps === 'prefix') {
        for (const event of read.events) events.push(event);
        counts.kept += read.events.length;
        entry.kept = read.events.length;
      }
      if (read.refusal !== undefined) {
        const number = read.refusal.event + (read.refusal.code === 7 ? 1 : 0);
        return code(400, read.refusal.code, texts[read.refusal.code] ?? 'Invalid data format', {
          'invalid-event-number': number,
        });
      }
    }
    const questions =
      fault === 'swallow-ack' ? Number.POSITIVE_INFINITY : fault === 'late-ack' ? 3 : (options.ackAfter ?? 0);
    if (server.tokenState === 'ack' && channel !== undefined) {
      entry.ackId = memoryOf(backend).give(channel, questions);
      given.set(`${backend} ${channel} ${entry.ackId}`, entry);
    }
    if (fault === 'reset-after') return request.socket.destroy();
    if (fault === 'hang-after') return;
    if (fault === 'slow-answer') await sleep(300);
    const ack = entry.ackId === undefined || fault === 'no-ack-id' ? {} : { ackId: entry.ackId };
    if (fault === 'queue-warning') return code(200, 24, 'Queue approaching capacity', ack);
    if (fault === 'ack-warning') return code(200, 25, 'ACK channel approaching capacity', ack);
    return code(200, 0, 'Success', ack);
  };

  const cookieName = options.backends?.cookie ?? 'SPLUNKLB';
  const memoryOf = (backend: number) => memories[backend] as AckMemory;
  const backendOf = (request: IncomingMessage): number => {
    const { backends } = options;
    if (backends === undefined) return 0;
    const stuck = new RegExp(`${cookieName}=(\\d+)`).exec(request.headers.cookie ?? '')?.[1];
    if (backends.balance === 'sticky' && stuck !== undefined && Number(stuck) < backends.count) return Number(stuck);
    return turn++ % backends.count;
  };
  const authorise = (request: IncomingMessage, url: URL): [number, number, string] | undefined => {
    if (url.searchParams.has('token'))
      return url.searchParams.get('token') === token
        ? [400, 16, 'Query string authorization is not enabled']
        : [403, 4, 'Invalid token'];
    const header = request.headers.authorization?.trim() ?? '';
    if (header === '') return [401, 2, 'Token is required'];
    const given = /^Splunk +(\S.*)$/.exec(header)?.[1];
    if (given === undefined) return [401, 3, 'Invalid authorization'];
    if (given !== token || server.tokenState === 'unknown') return [403, 4, 'Invalid token'];
    return server.tokenState === 'disabled' ? [403, 1, 'Token is disabled'] : undefined;
  };

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    response.on('error', () => {});
    const look = () => {
      for (const waiter of waiting) if (waiter.condition()) waiter.resolve();
    };
    handle(request, response)
      .catch(() => request.socket.destroy())
      .finally(look);
  };
  const http = options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
  http.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(options.port ?? 0, '127.0.0.1', resolve));

  const server: HecServer = {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(http.address() as AddressInfo).port}`,
    get token() {
      return token;
    },
    events,
    requests,
    get count() {
      return counts.kept;
    },
    tokenState: options.tokenState ?? 'good',
    renew(next) {
      token = next;
    },
    restart(backend) {
      for (const [index, memory] of memories.entries()) if (backend === undefined || backend === index) memory.forget();
    },
    disconnect() {
      for (const socket of sockets) socket.destroy();
    },
    until(condition) {
      if (condition()) return Promise.resolve();
      return new Promise((resolve) => {
        const waiter = {
          condition,
          resolve: () => {
            waiting.delete(waiter);
            resolve();
          },
        };
        waiting.add(waiter);
      });
    },
    async [Symbol.asyncDispose]() {
      server.disconnect();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}

const texts: Readonly<Record<number, string>> = {
  6: 'Invalid data format',
  7: 'Incorrect index',
  12: 'Event field is required',
  13: 'Event field cannot be blank',
  15: 'Error in handling indexed fields',
};

const page = (title: string) =>
  `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`;

function kindOf(path: string): LoggedRequest['kind'] {
  const match = /^\/services\/collector(?:\/(event|ack|health))?(?:\/1\.0)?$/.exec(path);
  if (match === null) return 'other';
  if (match[1] === 'ack' || match[1] === 'health') return match[1];
  return 'data';
}
