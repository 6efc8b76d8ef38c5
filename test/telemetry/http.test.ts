import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isOurs, type Listener, startListener } from '../../src/telemetry/http.ts';

let listener: Listener;
const sockets: Socket[] = [];
beforeEach(async () => {
  listener = await startListener({
    host: '127.0.0.1',
    port: 0,
    hosts: ['Forwarder.Example'],
    paths: {
      '/livez': () => ({ status: 200, type: 'application/json', body: '{}\n' }),
      '/broken': () => Promise.reject(new Error('secret')),
    },
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener[Symbol.asyncDispose]();
});

const port = () => Number(listener.address.split(':').at(-1));

function open(): Socket {
  const socket = connect(port(), '127.0.0.1').setEncoding('latin1');
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** Sends `request` unchanged; resolves to everything received until the other side closes. */
function raw(request: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    open()
      .on('data', (text) => {
        answer += text;
      })
      .on('close', () => resolve(answer))
      .end(request);
  });
}

const ask = (path: string, host = '127.0.0.1', method = 'GET') =>
  raw(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
const statusOf = async (answer: Promise<string>) => Number((await answer).split(' ')[1]);

describe('the listener', () => {
  it('answers GET and HEAD, and no other method', async () => {
    expect(await ask('/livez?verbose')).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{\}\n$/);
    expect(await ask('/livez', 'localhost', 'HEAD')).toMatch(/content-length: 3[\s\S]*\r\n\r\n$/);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
      expect(await ask('/livez', 'localhost', method)).toMatch(/^HTTP\/1\.1 405 [\s\S]*allow: GET, HEAD/);
  });

  it('rejects unknown paths', async () => {
    expect(await statusOf(ask('/'))).toBe(404);
    expect(await statusOf(ask('/constructor'))).toBe(404);
    expect(await statusOf(ask('http://127.0.0.1/livez'))).toBe(400);
  });

  it('does not disclose internal errors', async () => {
    const answer = await ask('/broken');
    expect(answer).toMatch(/^HTTP\/1\.1 500 /);
    expect(answer).not.toContain('secret');
  });

  it.each(['127.0.0.1', '127.0.0.1:9464', '[::1]:9464', 'localhost', 'LOCALHOST:80', 'forwarder.example:9464'])(
    'accepts the host %s',
    async (host) => {
      expect(await statusOf(ask('/livez', host))).toBe(200);
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '[evil]', 'localhost, evil', ':80', ''])(
    'rejects the host "%s"',
    async (host) => {
      expect(await statusOf(ask('/livez', host))).toBe(421);
    },
  );

  it('does not accept a name that only resembles an IP address', () => {
    const none = new Set<string>();
    expect(isOurs('1', none)).toBe(false);
    expect(isOurs('0x7f.1', none)).toBe(false);
    expect(isOurs('[127.0.0.1]', none)).toBe(false);
  });

  it('lets no other site read its answers', async () => {
    const answer = (await ask('/livez')).toLowerCase();
    expect(answer).toContain('cross-origin-resource-policy: same-origin');
    expect(answer).toContain('cache-control: no-store');
    expect(answer).toContain("content-security-policy: default-src 'none'");
    expect(answer).not.toContain('access-control');
  });

  it('serves at most 32 connections at once, and others after those end', async () => {
    const connections = Array.from({ length: 32 }, open);
    await Promise.all(connections.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    // The server has accepted them when it has answered the last one.
    connections[31]?.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => connections[31]?.once('data', resolve));
    expect(await ask('/livez')).toBe('');
    for (const socket of connections) socket.destroy();
    await expect.poll(() => statusOf(ask('/livez'))).toBe(200);
  });

  it('closes a client that sends its headers slowly, while it serves others', async () => {
    const slow = open();
    const closed = new Promise((resolve) => slow.once('close', resolve));
    slow.write('GET /livez HTTP/1.1\r\nHost: ');
    const drip = setInterval(() => slow.write('a'), 200);
    slow.resume();
    expect(await statusOf(ask('/livez'))).toBe(200);
    await closed;
    clearInterval(drip);
  });

  it('rejects endless headers', async () => {
    expect(await statusOf(ask('/livez', `localhost\r\nX: ${'x'.repeat(20_000)}`))).toBe(431);
  });
});
