import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { httpClient } from '../../src/lib/http.ts';
import { Secret, SecretSource } from '../../src/lib/secret.ts';
import { AuditApi } from '../../src/source/audit-api.ts';
import { RateLimiter } from '../../src/source/rate-limiter.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { scratch } from '../support/scratch.ts';

const place = scratch();
const never = new AbortController().signal;
const signals = { graceful: never, forced: never };

/** An API of one answer. */
async function serve(answer: (response: ServerResponse, url: URL) => void) {
  const server = createServer((request, response) =>
    answer(response, new URL(request.url ?? '', 'http://api.invalid')),
  ).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function api(origin: string, apiKey: SecretSource, perSecond = 20) {
  const events: TelemetryEvent[] = [];
  const http = httpClient({ timeoutMs: 5_000, maxBodyBytes: 1024 ** 2, userAgent: 'test' });
  const built = new AuditApi({
    origin,
    apiKey,
    authScheme: 'Bearer',
    pageSize: 10,
    http,
    rateLimiter: new RateLimiter(perSecond, () => performance.now()),
    emit: (event) => events.push(event),
    now: Date.now,
    readBefore: false,
  });
  return { built, events, [Symbol.dispose]: () => http[Symbol.dispose]() };
}

describe('the audit log API', () => {
  it('uses a rotated key for every request that was refused with the old one, not only the first', async () => {
    await using simulator = await startSimulator({ events: 30, key: 'second', latencyMs: 50 });
    const path = place.file('key', 'first');
    const apiKey = new SecretSource(() => new Secret(readFileSync(path, 'utf8')), path);
    using client = api(simulator.url, apiKey);
    writeFileSync(path, 'second');
    const verdicts = await Promise.all([0n, 10n, 20n].map((after) => client.built.fetch(after, signals)));
    expect(verdicts.map((verdict) => verdict?.kind)).toEqual(['page', 'page', 'page']);
  });

  it.each([
    [401, (key: string) => JSON.stringify({ message: `no such key: Bearer ${key}` })],
    [429, (key: string) => `slow down, ${key}`],
    [418, (key: string) => `${'.'.repeat(175)}${key}`],
    [500, (key: string) => `authorization: Bearer ${key}`],
    [200, (key: string) => `authorization: Bearer ${key}`],
    [200, (key: string) => `{"events":[{"action":"${key}"}]}`],
  ])('keeps the key out of its verdict if an answer with status %i quotes it', async (status, body) => {
    const key = 'SIEM-LOG-ONLY-not-to-be-told';
    await using server = await serve((response) => {
      response.statusCode = status;
      response.end(body(key));
    });
    using client = api(server.url, new SecretSource(() => new Secret(key)));
    const verdict = await client.built.fetch(0n, signals);
    const output = JSON.stringify([verdict, client.events], (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(output).not.toContain('not-to');
    expect(output).not.toContain('SIEM-LOG-ONLY-n');
  });

  it('reports a 403 even if a firewall compressed its page with an encoding that was not requested', async () => {
    await using server = await serve((response) => {
      response.writeHead(403, { 'content-encoding': 'br', 'content-type': 'text/html' }).end('....');
    });
    using client = api(server.url, new SecretSource(() => new Secret('a-key')));
    expect(await client.built.fetch(0n, signals)).toMatchObject({ kind: 'stop', reason: 'auth', status: 403 });
  });

  it('finds the count that fits a heavy stretch while light pages are read elsewhere', async () => {
    let heavy = 0;
    await using server = await serve((response, url) => {
      const after = Number(url.searchParams.get('after'));
      const count = Number(url.searchParams.get('count'));
      if (after === 0) heavy += 1;
      const meta = 'x'.repeat(after === 0 ? 400_000 : 1);
      const events = Array.from({ length: count }, (_, i) => ({ id: after + i + 1, meta }));
      response.end(JSON.stringify({ events }));
    });
    using client = api(server.url, new SecretSource(() => new Secret('a-key')), 1_000);
    let done = false;
    const light = async () => {
      for (let after = 1_000n; !done; after += 10n) await client.built.fetch(after, signals);
    };
    const reading = [light(), light(), light()];
    const verdict = await client.built.fetch(0n, signals);
    done = true;
    await Promise.all(reading);
    expect(verdict?.kind).toBe('page');
    expect(heavy).toBeLessThanOrEqual(4);
  });
});
