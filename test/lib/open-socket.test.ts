import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { errorText } from '../../src/lib/network-error.ts';
import { type OpenSocketOptions, openSocket } from '../../src/lib/open-socket.ts';
import { fullBacklog } from '../support/full-backlog.ts';

const never = new AbortController().signal;
const named =
  (...addresses: string[]) =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
const to = (port: number, timeoutMs: number, ...addresses: string[]): OpenSocketOptions => ({
  to: { host: 'collector.invalid', port },
  timeoutMs,
  lookup: named(...addresses),
});

async function listening(host: string, port = 0) {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Where the connection leads; its end closes it. */
async function peerOf(options: OpenSocketOptions): Promise<string | undefined> {
  const opened = await openSocket(options, never);
  if (opened instanceof Error) throw opened;
  const { remoteAddress } = opened.socket;
  opened.socket.destroy();
  await once(opened.socket, 'close');
  return remoteAddress;
}

describe.skipIf(process.platform !== 'linux')('a connection to a name with several addresses', () => {
  it('is tried at the next address after its share of the timeout', async () => {
    await using silent = await fullBacklog();
    await using _good = await listening('127.0.0.2', silent.port);
    expect(await peerOf(to(silent.port, 600, '127.0.0.1', '127.0.0.2'))).toBe('127.0.0.2');
  });

  it('waits longer than a second for an address that has a share as long', async () => {
    await using slow = await fullBacklog();
    setTimeout(slow.release, 1_200);
    expect(await peerOf(to(slow.port, 20_000, '127.0.0.1', '127.0.0.2'))).toBe('127.0.0.1');
  }, 15_000);

  it('fails with every address and its error', async () => {
    const server = await listening('127.0.0.1');
    await server[Symbol.asyncDispose]();
    await using silent = await fullBacklog();
    const failed = await openSocket(to(server.port, 2_000, '127.0.0.2', '127.0.0.3'), never);
    expect(errorText(failed)).toBe(
      `connect ECONNREFUSED 127.0.0.2:${server.port}; connect ECONNREFUSED 127.0.0.3:${server.port}`,
    );
    const late = await openSocket(to(silent.port, 400, '127.0.0.3', '127.0.0.1'), never);
    expect(errorText(late)).toMatch(
      /ECONNREFUSED 127\.0\.0\.3:\d+; connect ETIMEDOUT 127\.0\.0\.1:\d+: no answer within \d+ ms$/,
    );
  });

  it('fails within the timeout, or at once when aborted, if the name is never resolved', async () => {
    const lookup = () => new Promise<never>(() => {});
    const endpoint = { host: 'collector.invalid', port: 1 };
    expect(await openSocket({ to: endpoint, timeoutMs: 50, lookup }, never)).toMatchObject({
      code: 'ETIMEDOUT',
      message: 'the name collector.invalid was not resolved within 50 ms',
    });
    const forced = new AbortController();
    const opening = openSocket({ to: endpoint, timeoutMs: 60_000, lookup }, forced.signal);
    forced.abort();
    expect(await opening).toBeInstanceOf(Error);
  });

  it('fails at once when aborted while it is opened, and if the name has no address', async () => {
    await using silent = await fullBacklog();
    const forced = new AbortController();
    const opening = openSocket(to(silent.port, 60_000, '127.0.0.1', '127.0.0.2'), forced.signal);
    setTimeout(() => forced.abort(), 50);
    expect(await opening).toMatchObject({ code: 'ABORT_ERR' });
    expect(await openSocket(to(1, 1_000), never)).toMatchObject({ code: 'ENOTFOUND' });
  });
});
