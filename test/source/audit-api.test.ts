import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Happening } from '../../src/core/happening.ts';
import { Secret, SecretSource } from '../../src/core/secret.ts';
import { httpClient } from '../../src/net/http.ts';
import { startSimulator } from '../../src/simulate/server.ts';
import { AuditApi } from '../../src/source/audit-api.ts';
import { Pace } from '../../src/source/pace.ts';
import { scratch } from '../support/scratch.ts';

const place = scratch();
const never = new AbortController().signal;
const life = { stop: never, kill: never };

function api(origin: string, apiKey: SecretSource) {
  const happenings: Happening[] = [];
  const http = httpClient({ timeoutMs: 5_000, maxBodyBytes: 1024 ** 2, userAgent: 'test' });
  const built = new AuditApi({
    origin,
    apiKey,
    authScheme: 'Bearer',
    pageSize: 10,
    http,
    pace: new Pace(20, () => performance.now()),
    observe: (happening) => happenings.push(happening),
    now: Date.now,
    readBefore: false,
  });
  return { built, happenings, [Symbol.dispose]: () => http[Symbol.dispose]() };
}

describe('the audit log API', () => {
  it('takes up a rotated key for every request that the old one was refused for, not only the first', async () => {
    await using simulator = await startSimulator({ events: 30, key: 'second', latencyMs: 50 });
    const path = place.file('key', 'first');
    const apiKey = new SecretSource(() => new Secret(readFileSync(path, 'utf8')), path);
    using client = api(simulator.url, apiKey);
    writeFileSync(path, 'second');
    const verdicts = await Promise.all([0n, 10n, 20n].map((after) => client.built.fetch(after, life)));
    expect(verdicts.map((verdict) => verdict?.kind)).toEqual(['page', 'page', 'page']);
  });
});
