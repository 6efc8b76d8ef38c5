import { afterEach, describe, expect, it } from 'vitest';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/testing/simulator/server.ts';
import { ask, demoKey, page, pagePath } from './ask.ts';

let simulator: Simulator | undefined;
const start = async (options: SimulatorOptions = {}) => {
  simulator = await startSimulator(options);
  return simulator;
};
afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
});

describe('a page of the simulated audit log', () => {
  it('begins at the beginning and holds 100 events when nothing is asked for', async () => {
    const { url, generated } = await start({ events: 250 });
    const first = JSON.parse((await ask(`${url}${pagePath}`)).text) as { count: number; events: { id: number }[] };
    expect(first.events).toHaveLength(100);
    expect(first.count).toBe(100);
    expect(first.events[0]?.id).toBe(Number(generated?.idAt(0)));
  });

  it('holds the events whose id is greater than after, in order, and names the last of them as after', async () => {
    const { url, generated } = await start({ events: 250 });
    const second = await page(url, `after=${generated?.idAt(9)}&count=5`);
    expect(second.events.map((event) => event.id)).toEqual(
      [10, 11, 12, 13, 14].map((index) => Number(generated?.idAt(index))),
    );
    expect(second.after).toBe(second.events.at(-1)?.id);
  });

  it('gives every event once when each page is asked for after the last', async () => {
    const { url, generated, lastId } = await start({ events: 2500 });
    const ids: number[] = [];
    for (let after = 0; ; ) {
      const next = await page(url, `after=${after}&count=1000`);
      if (next.count === 0) break;
      ids.push(...next.events.map((event) => event.id));
      after = next.after;
    }
    expect(ids).toEqual(Array.from({ length: 2500 }, (_, index) => Number(generated?.idAt(index))));
    expect(BigInt(ids.at(-1) ?? 0)).toBe(lastId());
  });

  it('names the asked cursor as after when it is empty', async () => {
    const { url } = await start({ events: 3 });
    expect(await page(url, 'after=900719925474099312345')).toMatchObject({ count: 0, events: [] });
    expect((await ask(`${url}${pagePath}?after=90071992547409931`)).text).toContain('"after":90071992547409931,');
  });

  it('holds no more than the cap of the server, whatever was asked for', async () => {
    const { url } = await start({ events: 500, countCap: 100 });
    expect((await page(url, 'after=0&count=1000')).events).toHaveLength(100);
  });

  it.each(['count=0', 'count=1001', 'count=ten', 'count=', 'count=1.5', 'after=x', 'after=1.5', 'after=', 'after=1e3'])(
    'is refused with 400 and a message for %s',
    async (query) => {
      const { url } = await start();
      const heard = await ask(`${url}${pagePath}?${query}`);
      expect(heard.status).toBe(400);
      expect(JSON.parse(heard.text)).toEqual({ message: expect.stringMatching(/must be an integer/) });
    },
  );

  it('changes between two requests where an event comes late, and only there', async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    const late = { share: 0.5, delayMs: 60_000 };
    const { url, generated } = await start({ events: 50, rate: 10, late, now: () => nowMs });
    nowMs += 30_000;
    const read = async () => [
      await page(url, 'after=0&count=50'),
      await page(url, `after=${generated?.idAt(49)}&count=50`),
    ];
    const [old, fresh] = await read();
    nowMs += 60_000;
    const [oldAgain, freshAgain] = await read();
    expect(oldAgain).toEqual(old);
    expect([fresh?.count, freshAgain?.count]).toEqual([50, 50]);
    expect(freshAgain?.after).toBeLessThan(fresh?.after ?? 0);
  });

  it('is compressed for a client that takes gzip, and plain for one that does not', async () => {
    const { url } = await start();
    const zipped = await ask(`${url}${pagePath}`, { authorization: demoKey, 'accept-encoding': 'br, gzip;q=0.5' });
    const plain = await ask(`${url}${pagePath}`, { authorization: demoKey, 'accept-encoding': 'gzip;q=0, br' });
    expect([zipped.headers['content-encoding'], plain.headers['content-encoding']]).toEqual(['gzip', undefined]);
    expect(zipped.text).toBe(plain.text);
    expect(zipped.bytes.length).toBeLessThan(plain.bytes.length / 2);
  });

  it('is plain for every client when compression is off', async () => {
    const { url } = await start({ gzip: false });
    const heard = await ask(`${url}${pagePath}`, { authorization: demoKey, 'accept-encoding': 'gzip' });
    expect(heard.headers['content-encoding']).toBeUndefined();
  });

  it('carries the date of the server, whose clock may differ', async () => {
    const now = () => Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    const { url } = await start({ now, clockOffsetMs: 3_600_000 });
    expect((await ask(`${url}${pagePath}`)).headers.date).toBe('Fri, 02 Jan 2026 04:04:05 GMT');
  });

  it('carries no date when told so', async () => {
    const { url } = await start({ dateHeader: false });
    expect((await ask(`${url}${pagePath}`)).headers.date).toBeUndefined();
  });
});

describe('the key of the simulated API', () => {
  it.each(['Bearer SIEM-LOG-ONLY-demo', 'ApiKey SIEM-LOG-ONLY-demo'])('is taken as "%s"', async (authorization) => {
    const { url } = await start();
    expect((await ask(`${url}${pagePath}`, { authorization })).status).toBe(200);
  });

  it.each([
    {},
    { authorization: 'Basic SIEM-LOG-ONLY-demo' },
    { authorization: 'SIEM-LOG-ONLY-demo' },
    { authorization: 'Bearer SIEM-LOG-ONLY-other' },
    { authorization: 'Bearer' },
  ])('is refused with 401 and a message as %o', async (headers) => {
    const { url } = await start();
    const heard = await ask(`${url}${pagePath}`, headers);
    expect(heard.status).toBe(401);
    expect(JSON.parse(heard.text)).toEqual({ message: expect.any(String) });
  });

  it('reads the audit log alone when its name says so', async () => {
    const { url } = await start();
    const statuses = ['project', 'project/BISTRO/tcase', 'nothing'].map(
      async (path) => (await ask(`${url}/api/public/v0/${path}`)).status,
    );
    expect(await Promise.all(statuses)).toEqual([403, 403, 403]);
  });

  it('reads projects too when its name does not restrict it', async () => {
    const { url } = await start({ key: 'admin-key' });
    const projects = await ask(`${url}/api/public/v0/project`, { authorization: 'Bearer admin-key' });
    expect(projects.status).toBe(200);
    expect(JSON.parse(projects.text)).toBeTypeOf('object');
    expect((await ask(`${url}/api/public/v0/nothing`, { authorization: 'Bearer admin-key' })).status).toBe(404);
  });

  it('is restricted or not as told, whatever its name', async () => {
    const { url } = await start({ restricted: false });
    expect((await ask(`${url}/api/public/v0/project`)).status).toBe(200);
  });

  it('can be replaced', async () => {
    const { url, setKey } = await start();
    setKey('SIEM-LOG-ONLY-next');
    expect((await ask(`${url}${pagePath}`)).status).toBe(401);
    expect((await ask(`${url}${pagePath}`, { authorization: 'Bearer SIEM-LOG-ONLY-next' })).status).toBe(200);
  });
});

describe('the simulated API', () => {
  it('knows no method but GET', async () => {
    const { url } = await start();
    expect((await ask(`${url}${pagePath}`, { authorization: demoKey }, 'POST')).status).toBe(405);
  });

  it('answers 404 outside the API, and 400 where the target is no path', async () => {
    const { url } = await start();
    expect((await ask(`${url}/`)).status).toBe(404);
    expect((await ask(`${url}//`)).status).toBe(400);
  });

  it('lets 20 requests of any one second in and answers the rest with 429 and text, every other with Retry-After', async () => {
    let nowMs = 0;
    const { url } = await start({ events: 1, monotonic: () => nowMs });
    const burst = async (size: number) => {
      const heard = [];
      for (let sent = 0; sent < size; sent++) heard.push(await ask(`${url}${pagePath}`));
      return heard;
    };
    const first = await burst(22);
    expect(first.map((heard) => heard.status)).toEqual([...Array(20).fill(200), 429, 429]);
    expect(first.slice(20).map((heard) => heard.headers['retry-after'])).toEqual(['1', undefined]);
    expect(first.at(-1)?.text).toBe('Too many requests\n');
    nowMs = 999;
    expect((await burst(1))[0]?.status).toBe(429);
    nowMs = 1000;
    expect((await burst(1))[0]?.status).toBe(200);
  });

  it('sends Retry-After as a date when told so', async () => {
    const now = () => Date.UTC(2026, 0, 1);
    const { url } = await start({ requestsPerSecond: 0, retryAfter: 'date', now });
    expect((await ask(`${url}${pagePath}`)).headers['retry-after']).toBe('Thu, 01 Jan 2026 00:00:02 GMT');
  });

  it('sets no limit when told so', async () => {
    const { url } = await start({ events: 1, requestsPerSecond: Number.POSITIVE_INFINITY, monotonic: () => 0 });
    const heard = await Promise.all(Array.from({ length: 40 }, () => ask(`${url}${pagePath}`)));
    expect(heard.every(({ status }) => status === 200)).toBe(true);
  });

  it('remembers what was asked, when, and how it was answered', async () => {
    let nowMs = 0;
    const api = await start({ monotonic: () => ++nowMs, faults: [{ kind: '503', share: 1, times: 1 }] });
    await page(api.url, 'after=7&count=3').catch(() => {});
    await page(api.url, 'after=8&count=3');
    await ask(`${api.url}/api/public/v0/project`);
    expect(api.requests).toMatchObject([
      { method: 'GET', path: pagePath, after: 7n, count: 3, status: 503, fault: '503' },
      { method: 'GET', path: pagePath, after: 8n, count: 3, status: 200 },
      { method: 'GET', path: '/api/public/v0/project', status: 403 },
    ]);
    expect(api.requestCount).toBe(3);
    const times = api.requests.map((request) => request.atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('ends answers under way and its port when it is closed, twice too', async () => {
    const api = await start({ latencyMs: 3_600_000 });
    const waiting = ask(`${api.url}${pagePath}`);
    await expect.poll(() => api.requestCount).toBe(1);
    await api.close();
    await api.close();
    expect((await waiting).broke).toBe('ECONNRESET');
    expect((await ask(`${api.url}${pagePath}`)).broke).toBe('ECONNREFUSED');
  });

  it('says so when its port is taken', async () => {
    const { port } = await start();
    await expect(startSimulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
