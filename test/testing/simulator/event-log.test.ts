import { afterEach, describe, expect, it } from 'vitest';
import { idOf } from '../../../src/testing/simulator/event-log.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/testing/simulator/server.ts';
import { ask, page, pagePath } from './ask.ts';

let simulator: Simulator | undefined;
const start = async (options: SimulatorOptions) => {
  simulator = await startSimulator(options);
  return simulator;
};
const textOf = async (url: string, query: string) => (await ask(`${url}${pagePath}?${query}`)).text;
const idsOf = async (url: string, query: string) => (await page(url, query)).events.map((event) => event.id);
afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
});

describe('the id of a text', () => {
  it.each([
    ['{"id":7}', 7n],
    ['{"user":{"id":3},"id":9007199254740993}', 9007199254740993n],
    ['{"id":123456789012345678901234567890,"user":{"id":3}}', 123456789012345678901234567890n],
    ['{"id":1.0}', 1n],
    ['{"id":1e3}', 1000n],
    ['{"id":-4}', -4n],
    ['{"id":1.5}', undefined],
    ['{"id":"7"}', undefined],
    ['{"action":"user.login"}', undefined],
    ['null', undefined],
    ['{"id":7', undefined],
  ])('in %s is %s', (text, id) => {
    expect(idOf(text)).toBe(id);
  });

  it('is found however deep the event goes', () => {
    expect(idOf(`{"id":12345678901234567,"meta":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)).toBe(
      12345678901234567n,
    );
  });
});

describe('a log given by hand', () => {
  it('is served as it was written, to the last byte', async () => {
    const texts = [
      '{ "id" : 1.0, "meta": {"n": 1e3, "z": -0, "__proto__": 1} }',
      '{"id":9007199254740993,"s":"\\ud800 \u2028 \\u0000 🚀"}',
    ];
    const { url } = await start({ log: texts });
    expect(await textOf(url, 'after=0')).toBe(`{"after":9007199254740993,"count":2,"events":[${texts.join(',')}]}`);
    expect(await textOf(url, 'after=9007199254740992')).toBe(
      `{"after":9007199254740993,"count":1,"events":[${texts[1]}]}`,
    );
    expect(simulator?.lastId()).toBe(9007199254740993n);
  });

  it('is put in order of id', async () => {
    const { url } = await start({ log: ['{"id":5}', '{"id":2}', '{"id":9}'] });
    expect(await idsOf(url, 'after=2')).toEqual([5, 9]);
    expect(await idsOf(url, 'after=0&count=2')).toEqual([2, 5]);
  });

  it('may hold an event of 20 MB', async () => {
    const { url } = await start({ log: [`{"id":1,"meta":{"blob":"${'x'.repeat(20_000_000)}"}}`] });
    expect((await textOf(url, 'after=0')).length).toBeGreaterThan(20_000_000);
  });

  it('may hold an element without an integer id where it is told to', async () => {
    const { url } = await start({ log: ['{"id":1}', { id: 2n, text: '{"id":"two"}' }, '{"id":3}'] });
    expect(await textOf(url, 'after=1')).toContain('"events":[{"id":"two"},{"id":3}]');
    await expect(startSimulator({ log: ['{"id":"two"}'] })).rejects.toThrow(TypeError);
  });

  it('shows an event with a lower id after one with a higher id when its time comes', async () => {
    let nowMs = 1_000;
    const log = [{ text: '{"id":1}' }, { text: '{"id":2}', visibleAtMs: 61_000 }, { text: '{"id":3}' }];
    const { url } = await start({ log, now: () => nowMs, clockOffsetMs: 10_000 });
    expect(await idsOf(url, 'after=0')).toEqual([1, 3]);
    nowMs = 51_000;
    expect(await idsOf(url, 'after=0')).toEqual([1, 2, 3]);
    expect(await idsOf(url, 'after=3')).toEqual([]);
  });

  it('may be one of the caller’s own, in any disorder', async () => {
    const asked: (readonly [bigint, number])[] = [];
    const log = {
      page(after: bigint, count: number) {
        asked.push([after, count]);
        return after < 4n ? ['{"id":4}', '{"id":2}', '{"id":4}', '{"id":3}'] : [];
      },
    };
    const api = await start({ log });
    expect(await page(api.url, 'after=1&count=10')).toMatchObject({
      after: 3,
      events: [{ id: 4 }, { id: 2 }, { id: 4 }, { id: 3 }],
    });
    expect(asked).toEqual([[1n, 10]]);
    expect(api.lastId()).toBe(3n);
  });
});

describe('events that are added while the API runs', () => {
  it('stand where their ids belong, also behind what was read', async () => {
    const api = await start({ events: 40 });
    const before = await idsOf(api.url, 'after=0&count=40');
    const hole = before.findIndex((id, index) => id !== index + 1) + 1;
    api.append([`{"id":${hole},"action":"late"}`, '{"id":12345678901234567890}']);
    expect(await idsOf(api.url, 'after=0&count=40')).toEqual([...before, hole].toSorted((a, b) => a - b).slice(0, 40));
    expect(await textOf(api.url, 'after=100')).toContain('"after":12345678901234567890');
    expect(api.lastId()).toBe(12345678901234567890n);
  });

  it('may be one text, or a number of generated ones', async () => {
    const api = await start({ events: 10 });
    const last = api.lastId();
    api.append(3);
    expect(await idsOf(api.url, `after=${last}`)).toHaveLength(3);
    api.append('{"id":5000}');
    expect(await idsOf(api.url, `after=${api.generated?.idAt(12)}`)).toEqual([5000]);
  });

  it('go to the log that was given by hand', async () => {
    const api = await start({ log: ['{"id":1}', '{"id":3}'] });
    api.append(['{"id":2}']);
    expect(await idsOf(api.url, 'after=0')).toEqual([1, 2, 3]);
    expect(() => api.append(5)).toThrow(RangeError);
  });

  it('are not made by hand from a log that grows by itself', async () => {
    const api = await start({ rate: 1 });
    expect(() => api.append(5)).toThrow(RangeError);
  });
});
