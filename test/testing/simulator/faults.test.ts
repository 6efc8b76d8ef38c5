import { once } from 'node:events';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type FaultKind, faultKinds, faultPlan, parseFault } from '../../../src/testing/simulator/faults.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/testing/simulator/server.ts';
import { ask, demoKey, pagePath } from './ask.ts';

const kinds = Object.keys(faultKinds) as FaultKind[];

let simulator: Simulator | undefined;
const start = async (options: SimulatorOptions) => {
  simulator = await startSimulator({ requestsPerSecond: Number.POSITIVE_INFINITY, ...options });
  return simulator;
};
const suffer = async (kind: FaultKind) => {
  const { url } = await start({ faults: [{ kind, share: 1 }] });
  return ask(`${url}${pagePath}`, { authorization: demoKey, 'accept-encoding': 'gzip' });
};
afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
});

describe('a fault as text', () => {
  it.each(kinds)('may be %s', (kind) => {
    expect(parseFault(`${kind}:0.25`)).toEqual({ kind, share: 0.25 });
  });

  it('is met always where it is a refusal, and by a tenth of the requests otherwise', () => {
    expect(['401', '402', '403', '404', '429', 'reset', 'slow'].map(parseFault)).toMatchObject(
      [1, 1, 1, 1, 0.1, 0.1, 0.1].map((share) => ({ share })),
    );
  });

  it('names the nearest known kind where it is unknown', () => {
    expect(parseFault('rest:0.5')).toEqual({ problem: 'no fault is called "rest"; did you mean reset?' });
    expect(parseFault('truncated-gz')).toMatchObject({ problem: expect.stringContaining('truncated-gzip') });
  });

  it.each(['reset:', 'reset:2', 'reset:-1', 'reset:x', 'reset:0.1:0.1', 'reset:1e-1', 'reset:NaN'])(
    'is a problem as %s, named with an example',
    (text) => {
      expect(parseFault(text)).toEqual({ problem: expect.stringContaining('reset:0.05') });
    },
  );

  it('never throws, and a problem is one printable line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const fault = parseFault(text);
        if ('problem' in fault) expect(fault.problem).toMatch(/^\P{Cc}*$/u);
      }),
    );
  });
});

describe('a plan of faults', () => {
  it('meets each share in the long run, and the same requests for the same chance', async () => {
    const weather = async () => {
      const { url, requests, close } = await start({
        seed: 5,
        faults: [
          { kind: '500', share: 0.3 },
          { kind: '429-bare', share: 0.2 },
        ],
      });
      for (let sent = 0; sent < 200; sent++) await ask(`${url}${pagePath}?count=1`);
      await close();
      return requests.map((request) => request.fault);
    };
    const first = await weather();
    expect(await weather()).toEqual(first);
    const met = (kind: FaultKind) => first.filter((fault) => fault === kind).length;
    expect(met('500')).toBeGreaterThan(35);
    expect(met('500')).toBeLessThan(85);
    expect(met('429-bare')).toBeGreaterThan(10);
  });

  it('lets a fault with a number of times pass when they are used up', () => {
    const plan = faultPlan([{ kind: 'reset', share: 1, times: 2 }], () => 0.5);
    expect([plan.next(), plan.next(), plan.next()]).toEqual(['reset', 'reset', undefined]);
  });

  it('can be changed while the API runs', async () => {
    const { url, setFaults } = await start({ faults: [{ kind: '500', share: 1 }] });
    expect((await ask(`${url}${pagePath}`)).status).toBe(500);
    setFaults([]);
    expect((await ask(`${url}${pagePath}`)).status).toBe(200);
  });

  it('touches the audit log alone', async () => {
    const { url } = await start({ key: 'admin', faults: [{ kind: '500', share: 1 }] });
    expect((await ask(`${url}/api/public/v0/project`, { authorization: 'Bearer admin' })).status).toBe(200);
    expect((await ask(`${url}${pagePath}`, { authorization: 'Bearer wrong' })).status).toBe(401);
  });
});

describe('the fault', () => {
  it.each(kinds)('%s leaves no connection behind when the API is closed', async (kind) => {
    const api = await start({ faults: [{ kind, share: 1 }] });
    const heard = ask(`${api.url}${pagePath}`);
    await expect.poll(() => api.requestCount).toBe(1);
    if (kind !== 'slow') await heard;
    await api.close();
    await heard;
    await expect.poll(() => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'))).toEqual([]);
  });

  it.each([401, 402, 403, 404, 408, 429, 500, 502, 503, 504] as const)('%i answers so, with a body', async (status) => {
    const heard = await suffer(`${status}`);
    expect(heard.status).toBe(status);
    expect(heard.text).not.toBe('');
  });

  it('429 says after how many seconds, 429-date says when, 429-bare says nothing', async () => {
    const values = [];
    for (const kind of ['429', '429-date', '429-bare'] as const) {
      values.push((await suffer(kind)).headers['retry-after']);
      await simulator?.close();
    }
    expect(values).toEqual(['1', expect.stringMatching(/ GMT$/), undefined]);
  });

  it.each(['reset', 'reset-body', 'reset-after'] as const)('%s is a reset of TCP, not a mere end', async (kind) => {
    const { port } = await start({ faults: [{ kind, share: 1 }] });
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET ${pagePath} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${demoKey}\r\n\r\n`);
    socket.resume();
    await expect(once(socket, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('reset breaks the connection before the answer', async () => {
    expect(await suffer('reset')).toMatchObject({ status: 0, broke: 'ECONNRESET' });
  });

  it('reset-body breaks the connection in the middle of the body', async () => {
    const heard = await suffer('reset-body');
    expect(heard).toMatchObject({ status: 200, broke: 'ECONNRESET' });
    expect(heard.bytes.length).toBeLessThan(Number(heard.headers['content-length']));
  });

  it('reset-after sends the whole body before it breaks the connection', async () => {
    const { url, requests } = await start({ faults: [{ kind: 'reset-after', share: 1 }], events: 1 });
    const heard = await ask(`${url}${pagePath}`);
    expect(heard.bytes.length).toBe(Number(heard.headers['content-length'] ?? -1));
    expect(requests[0]?.fault).toBe('reset-after');
  });

  it('truncated is a whole answer whose JSON is not', async () => {
    const heard = await suffer('truncated');
    expect(heard.broke).toBeUndefined();
    expect(heard.text).toMatch(/^\{"after":/);
    expect(() => JSON.parse(heard.text)).toThrow(SyntaxError);
  });

  it('truncated-gzip is a whole answer whose gzip stream is not', async () => {
    const heard = await suffer('truncated-gzip');
    expect(heard.headers['content-encoding']).toBe('gzip');
    expect(heard.bytes.length).toBe(Number(heard.headers['content-length']));
    expect(() => gunzipSync(heard.bytes)).toThrow(/unexpected end/);
  });

  it('slow sends a little at a time and never ends by itself, but ends when the API is closed', async () => {
    const api = await start({ faults: [{ kind: 'slow', share: 1 }] });
    let dripped = 0;
    const whole = fetch(`${api.url}${pagePath}`, { headers: { authorization: demoKey } }).then(async (response) => {
      for await (const part of response.body ?? []) dripped += part.length;
    });
    const ended = whole.then(
      () => 'whole',
      () => 'broken',
    );
    await expect.poll(() => dripped).toBeGreaterThan(1);
    await api.close();
    expect(await ended).toBe('broken');
    expect(dripped).toBeLessThan(600);
  });

  it('html is a login page with status 200', async () => {
    const heard = await suffer('html');
    expect(heard).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(heard.text).toMatch(/^<!doctype html>/);
  });

  it('mislabelled is a good page under the wrong type', async () => {
    const heard = await suffer('mislabelled');
    expect(heard.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(JSON.parse(heard.text)).toMatchObject({ count: 100 });
  });

  it('no-events is a JSON object without events', async () => {
    expect(JSON.parse((await suffer('no-events')).text)).not.toHaveProperty('events');
  });

  it('empty is a page without events whose after is 0, whatever was asked', async () => {
    const { url } = await start({ faults: [{ kind: 'empty', share: 1 }] });
    expect(JSON.parse((await ask(`${url}${pagePath}?after=17`)).text)).toEqual({ after: 0, count: 0, events: [] });
  });

  it('redirect leads to a login page that is there', async () => {
    const heard = await suffer('redirect');
    expect(heard.status).toBe(302);
    expect(await ask(heard.headers.location ?? '', {})).toMatchObject({
      status: 200,
      text: expect.stringContaining('Sign in'),
    });
  });
});
