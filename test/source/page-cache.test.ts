import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { httpClient } from '../../src/lib/http.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { secretFile, secretValue } from '../../src/lib/options/values.ts';
import { AuditApi } from '../../src/source/audit-api.ts';
import { KeyScopeCheck } from '../../src/source/key-scope.ts';
import { CachedSource } from '../../src/source/page-cache.ts';
import { RateLimiter } from '../../src/source/rate-limiter.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { scratch } from '../support/scratch.ts';

const place = scratch();
const page = '{"after":1,"count":1,"events":[{"id":1,"action":"x"}]}';

interface Given {
  /** The status of the audit log for this key and the number of requests for it so far, this one included. */
  readonly log?: (key: string, count: number) => number;
  /** The status of the other endpoint, by number of requests and key. */
  readonly project?: (count: number, key: string) => number;
  readonly policy?: 'off' | 'warn' | 'require';
  readonly onKeyRejected?: 'exit' | 'wait';
  readonly keyFile?: string;
}

/** A source over a real API whose statuses the test decides. */
async function start({ log = () => 200, project = () => 403, policy = 'off', onKeyRejected = 'exit', keyFile }: Given) {
  const requests = { log: 0, project: 0 };
  const answer = (response: ServerResponse, path: string, key: string) => {
    const isLog = path.includes('audit-logs');
    const count = isLog ? ++requests.log : ++requests.project;
    response.statusCode = isLog ? log(key, count) : project(count, key);
    response.end(isLog && response.statusCode === 200 ? page : '{"message":"no"}');
  };
  const server = createServer((request, response) =>
    answer(response, request.url ?? '', (request.headers.authorization ?? '').replace('Bearer ', '')),
  ).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const http = httpClient({ timeoutMs: 5_000, maxBodyBytes: 1_000_000, userAgent: 'test' });
  const events: TelemetryEvent[] = [];
  const emit = (event: TelemetryEvent) => void events.push(event);
  const apiKey = keyFile === undefined ? secretValue('').parse('first-key') : secretFile('').parse(keyFile);
  const rateLimiter = new RateLimiter(1_000, () => performance.now());
  const common = { origin, apiKey, authScheme: 'Bearer', http, rateLimiter, emit } as const;
  const stop = new AbortController();
  const signals = { graceful: stop.signal, forced: stop.signal };
  const source = new CachedSource({
    api: new AuditApi({ ...common, pageSize: 10, now: Date.now, readBefore: true }),
    keyScope: new KeyScopeCheck({ ...common, policy }),
    onKeyRejected,
    emit,
    random: () => 0.01,
    wake: new Notifier(),
    maxCachedPages: 2,
    signals,
    patience: { secondRequestMs: 100, keyFileMs: 300, keyFileIntervalMs: 5 },
  });
  return {
    source,
    signals,
    stop,
    requests,
    named: (name: TelemetryEvent['event']) => events.filter(({ event }) => event === name),
    read: () => source.page(0n, 0, signals),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await source[Symbol.asyncDispose]();
      http[Symbol.dispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const ids = (read: { events: readonly { id: bigint }[] } | undefined) => read?.events.map(({ id }) => id);

describe('a 401', () => {
  it('is passing if the second request does not get it', async () => {
    await using api = await start({ log: (_, count) => (count === 1 ? 401 : 200) });
    expect(ids(await api.read())).toEqual([1n]);
    expect(api.named('source.retry')).toHaveLength(1);
    expect(api.named('source.recovered')).toHaveLength(1);
    expect(api.named('source.refused')).toEqual([]);
  });

  it('stops the source with exit code 77 if the second request gets it too, and is not asked a third time', async () => {
    await using api = await start({ log: () => 401 });
    await expect(api.read()).rejects.toMatchObject({ name: 'SourceStop', exitCode: 77 });
    expect(api.requests.log).toBe(2);
    expect(api.named('source.refused')).toHaveLength(1);
  });

  it('is reported as a rejected key and retried with `onKeyRejected: wait`', async () => {
    await using api = await start({ log: () => 401, onKeyRejected: 'wait' });
    const reading = api.read();
    await vi.waitFor(() => expect(api.named('source.refused')).toHaveLength(1));
    expect(api.source.lastError).toContain('API key rejected');
    api.stop.abort();
    expect(await reading).toBeUndefined();
  });

  it.each<[string, (file: string) => void]>([
    ['empty', (file) => writeFileSync(file, '')],
    ['missing', (file) => rmSync(file)],
    ['stale', () => {}],
  ])('ends when the key file that was %s for a moment has the new key', async (_, damage) => {
    const keyFile = join(place.directory, 'rotated-key');
    writeFileSync(keyFile, 'first-key');
    await using api = await start({ log: (key) => (key === 'second-key' ? 200 : 401), keyFile });
    damage(keyFile);
    const reading = api.read();
    await vi.waitFor(() => expect(api.named('source.retry')).toHaveLength(1));
    writeFileSync(keyFile, 'second-key');
    expect(ids(await reading)).toEqual([1n]);
    expect(api.requests.log).toBe(2);
    expect(api.named('source.refused')).toEqual([]);
  });

  it('is believed when the key file was read again for its time and has no other key', async () => {
    const keyFile = join(place.directory, 'revoked-key');
    writeFileSync(keyFile, 'first-key');
    await using api = await start({ log: () => 401, keyFile });
    await expect(api.read()).rejects.toMatchObject({ exitCode: 77 });
    expect(api.requests.log).toBe(2);
  });
});

it.each([402, 403])('a %i is believed at once', async (status) => {
  await using api = await start({ log: () => status });
  await expect(api.read()).rejects.toMatchObject({ exitCode: 77 });
  expect(api.requests.log).toBe(1);
});

describe('restrictedKey: require', () => {
  const require = { policy: 'require' } as const;

  it('delivers nothing before the scope of the key is known, and says why', async () => {
    let isClear = false;
    await using api = await start({ ...require, project: () => (isClear ? 403 : 502) });
    const delivered: unknown[] = [];
    const reading = api.read().then((read) => delivered.push(ids(read)));
    await vi.waitFor(() => expect(api.requests.project).toBeGreaterThan(2));
    // Not from the cache either.
    const another = api.read().then((read) => delivered.push(ids(read)));
    await vi.waitFor(() => expect(api.requests.project).toBeGreaterThan(4));
    expect(delivered).toEqual([]);
    expect(api.source.lastError).toMatch(/not known yet: .*answered 502/);
    expect(api.named('source.key_scope')).toHaveLength(1);
    isClear = true;
    await Promise.all([reading, another]);
    expect(delivered).toEqual([[1n], [1n]]);
    expect(api.source.lastError).toBeUndefined();
  });

  it.each([502, 404, 401, 302])(
    'stops the source if the key turns out to be broad after an unclear %i',
    async (status) => {
      await using api = await start({ ...require, project: (count) => (count === 1 ? status : 200) });
      await expect(api.read()).rejects.toMatchObject({ exitCode: 77 });
    },
  );

  it('stops the source if a key that replaces the first one is broad', async () => {
    const keyFile = join(place.directory, 'broadened-key');
    writeFileSync(keyFile, 'first-key');
    let valid = 'first-key';
    const log = (key: string) => (key === valid ? 200 : 401);
    const project = (_: number, key: string) => (key === 'first-key' ? 403 : 200);
    await using api = await start({ ...require, log, project, keyFile });
    expect(ids(await api.read())).toEqual([1n]);
    writeFileSync(keyFile, 'second-key');
    valid = 'second-key';
    await expect(api.source.page(1n, 0, api.signals)).rejects.toMatchObject({ exitCode: 77 });
  });

  it('delivers nothing if it is stopped before the scope is known', async () => {
    await using api = await start({ ...require, project: () => 502 });
    const reading = api.read();
    await vi.waitFor(() => expect(api.requests.project).toBeGreaterThan(1));
    api.stop.abort();
    expect(await reading).toBeUndefined();
  });
});

it('restrictedKey: warn delivers at once and asks until the scope is known', async () => {
  await using api = await start({ policy: 'warn', project: (count) => (count < 3 ? 502 : 200) });
  expect(ids(await api.read())).toEqual([1n]);
  await vi.waitFor(() => expect(api.named('daemon.warning')).toHaveLength(1));
  expect(api.requests.project).toBe(3);
});
