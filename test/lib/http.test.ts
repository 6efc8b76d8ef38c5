import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type HttpOptions, httpClient } from '../../src/lib/http.ts';
import { Secret } from '../../src/lib/secret.ts';
import { testPair } from '../support/test-pair.ts';

const never = new AbortController().signal;
const timeoutMs = 400;

afterEach(() => {
  vi.restoreAllMocks();
});

async function listen(server: Server, host = '127.0.0.1') {
  server.listen(0, host);
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    /** Resolves when the other side has closed all connections. */
    async abandoned() {
      await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const serve = (answer: RequestListener) => listen(createHttpServer(answer));
const client = (options: Partial<HttpOptions> = {}) =>
  httpClient({ timeoutMs, maxBodyBytes: 1_000_000, userAgent: 'test', ...options });
const get = (url: string) => ({ method: 'GET' as const, url, headers: {} });

describe('a request that is never answered ends within the time-out and leaves no connection', () => {
  const silent = () => createServer((socket) => void socket.resume());
  const tunnel = (behind: (socket: Socket) => void) =>
    createServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        behind(socket);
      });
    });
  const tlsServer = (socket: Socket) =>
    void new TLSSocket(socket, { isServer: true, key: testPair, cert: testPair }).on('error', () => {}).resume();

  it.each<[string, () => Server, string, RegExp]>([
    ['an http proxy that is silent', silent, 'http', /no connection/],
    ['an https proxy that is silent', silent, 'https', /no connection/],
    [
      'a proxy that sends half of its answer to CONNECT',
      () => createServer((socket) => void socket.resume().write('HTTP/1.1 200 OK\r\n')),
      'http',
      /no connection/,
    ],
    [
      'a server behind a proxy that never completes TLS',
      () => tunnel((socket) => void socket.resume()),
      'http',
      /no connection/,
    ],
    ['a server behind a proxy that never answers', () => tunnel(tlsServer), 'http', /no answer/],
  ])('%s', async (_, create, scheme, stage) => {
    await using proxy = await listen(create());
    const tls = { secure: { rejectUnauthorized: false }, clientCertificateExpiresMs: undefined };
    using http = client({ proxy: new Secret(`${scheme}://127.0.0.1:${proxy.port}`), tls });
    const outcome = await http.request(get('https://api.invalid/x'), never);
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'timeout', detail: expect.stringMatching(stage) });
    expect(proxy.connections).toBe(1);
    await proxy.abandoned();
  });

  it.each<[string, string, () => Server, RegExp]>([
    ['a server that never completes TLS', 'https', silent, /no connection/],
    ['a server that reads the request only', 'http', silent, /no answer/],
    [
      'a server that sends half a body',
      'http',
      () => createHttpServer((_, response) => void response.writeHead(200).write('{')),
      /not complete/,
    ],
    [
      'a server that sends its body one byte at a time',
      'http',
      () =>
        createHttpServer((_, response) => {
          const timer = setInterval(() => response.write('x'), 20);
          response.once('close', () => clearInterval(timer));
        }),
      /not complete/,
    ],
  ])('%s', async (_, scheme, create, stage) => {
    await using server = await listen(create());
    using http = client();
    const outcome = await http.request(get(`${scheme}://127.0.0.1:${server.port}/`), never);
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'timeout', detail: expect.stringMatching(stage) });
    await server.abandoned();
  });

  it('a name that is never resolved', async () => {
    vi.spyOn(dns, 'lookup').mockImplementation((() => {}) as never);
    using http = client();
    const outcome = await http.request(get('http://api.invalid/'), never);
    expect(outcome).toMatchObject({
      kind: 'failure',
      reason: 'timeout',
      detail: expect.stringMatching(/no connection/),
    });
  });

  it('and is aborted at once by its signal, through a silent proxy too', async () => {
    await using proxy = await listen(silent());
    using http = client({ proxy: new Secret(`http://127.0.0.1:${proxy.port}`), timeoutMs: 60_000 });
    const stop = new AbortController();
    const asking = http.request(get('https://api.invalid/x'), stop.signal);
    await vi.waitFor(() => expect(proxy.connections).toBe(1));
    stop.abort(new Error('stopped'));
    await expect(asking).rejects.toThrow('stopped');
  });
});

const resolveTo = (...addresses: string[]) =>
  vi.spyOn(dns, 'lookup').mockImplementation(((_: string, __: unknown, done: (error: null, found: object[]) => void) =>
    done(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )) as never);

describe('a name with several addresses', () => {
  it('is reported with every address and its error', async () => {
    await using server = await serve((_, response) => void response.end());
    resolveTo('127.0.0.2', '127.0.0.3');
    using http = client();
    const outcome = await http.request(get(`http://api.invalid:${server.port}/`), never);
    expect(outcome).toMatchObject({
      kind: 'failure',
      code: 'ECONNREFUSED',
      detail: `connect ECONNREFUSED 127.0.0.2:${server.port}; connect ECONNREFUSED 127.0.0.3:${server.port}`,
    });
  });

  it('is reached at the address that answers', async () => {
    await using server = await serve((_, response) => void response.end('here'));
    resolveTo('127.0.0.2', '127.0.0.1');
    using http = client();
    expect(await http.request(get(`http://api.invalid:${server.port}/`), never)).toMatchObject({ status: 200 });
  });
});

it('an address that takes longer than half a second to connect is not given up for one that refuses', async () => {
  // With a full backlog the kernel drops the SYN; the client sends it again after a second, as over a long round trip.
  const script = `const s = require('node:http').createServer((_, r) => r.end('here'));
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const fillers: Socket[] = [];
  try {
    const port = Number(String((await once(child.stdout, 'data'))[0]));
    child.kill('SIGSTOP');
    for (let count = 0; count < 2; count++) {
      const filler = connect(port, '127.0.0.1').on('error', () => {});
      fillers.push(filler);
      await once(filler, 'connect');
    }
    resolveTo('127.0.0.1', '127.0.0.2');
    using http = client({ timeoutMs: 20_000 });
    const asking = http.request(get(`http://api.invalid:${port}/`), never);
    await new Promise((resolve) => setTimeout(resolve, 700));
    child.kill('SIGCONT');
    expect(await asking).toMatchObject({ kind: 'answer', status: 200 });
  } finally {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
    await exited;
  }
});

describe('the header of an answer', () => {
  const withHeader = (bytes: number) =>
    serve((_, response) => void response.setHeader('x-large', 'x'.repeat(bytes)).end('body'));

  it('may have 60 KiB', async () => {
    await using server = await withHeader(60 * 1024);
    using http = client();
    const outcome = await http.request(get(`http://127.0.0.1:${server.port}/`), never);
    expect(outcome).toMatchObject({ kind: 'answer', status: 200, body: Buffer.from('body') });
  });

  it('is named with its bound if it is larger than 64 KiB', async () => {
    await using server = await withHeader(70 * 1024);
    using http = client();
    const outcome = await http.request(get(`http://127.0.0.1:${server.port}/`), never);
    expect(outcome).toMatchObject({ kind: 'failure', detail: 'the header of the answer is larger than 64 KiB' });
  });
});
