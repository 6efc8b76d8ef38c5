import { describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointStore } from '../../src/checkpoint/store.ts';
import { print } from '../../src/checkpoint/text.ts';
import type { AuditEvent, Cursor } from '../../src/core/event.ts';
import type { Happening } from '../../src/core/happening.ts';
import { Notifier } from '../../src/core/notifier.ts';
import { jsonFormat } from '../../src/format/json.ts';
import { Route } from '../../src/route/route.ts';
import type { Page, Source } from '../../src/source/source.ts';
import { ScriptedSink } from '../support/fake-sink.ts';

const settleMs = 60_000;
const origin = 'https://acme.eu1.qasphere.com';

interface Row {
  readonly id: number;
  readonly createdAtMs: number;
  readonly visibleMs: number;
}

/** A log whose clock the test moves; counts the requests. */
class Log implements Source {
  nowMs = 1_000_000_000_000;
  requests = 0;
  readonly rows: Row[] = [];
  readonly trouble = undefined;

  async page(after: Cursor): Promise<Page> {
    this.requests += 1;
    const rows = this.rows.filter(({ id, visibleMs }) => BigInt(id) > after && visibleMs <= this.nowMs).slice(0, 1000);
    const moment = { monotonicMs: this.nowMs, serverMs: this.nowMs };
    return { after, events: rows.map(toEvent), asked: moment, answered: moment };
  }
  async peek(after: Cursor): Promise<Page> {
    const page = await this.page(after);
    return { ...page, events: page.events.slice(0, 1) };
  }
}

function toEvent({ id, createdAtMs }: Row): AuditEvent {
  const value = { id, action: 'x', createdAt: new Date(createdAtMs).toISOString() };
  return { id: BigInt(id), text: Buffer.from(JSON.stringify(value)), value, receivedAtMs: 0 };
}

class MemoryStore implements CheckpointStore {
  last: Checkpoint | undefined;
  largestBytes = 0;
  async load(): Promise<Checkpoint | undefined> {
    return this.last;
  }
  async save(checkpoint: Checkpoint): Promise<void> {
    this.last = checkpoint;
    this.largestBytes = Math.max(this.largestBytes, print(checkpoint, new Date(0).toISOString()).length);
  }
  async list(): Promise<string[]> {
    return [];
  }
}

/** A route over `log`, with the polls in the test's hand. */
async function routed(log: Log, store: MemoryStore) {
  const sink = Object.assign(new ScriptedSink(), { limits: { maxEvents: 1000, maxBytes: 1e9 } });
  const happenings: Happening[] = [];
  const stop = new AbortController();
  const life = { stop: stop.signal, kill: new AbortController().signal };
  const route = await Route.open(
    {
      name: 'test',
      origin,
      source: log,
      store,
      deadLetter: { open: async () => {}, append: async () => {} },
      settleMs,
      pageSize: 1000,
      startAt: { kind: 'beginning' },
      observe: (happening) => happenings.push(happening),
      now: () => log.nowMs,
      random: () => 0,
      wake: new Notifier(),
      format: jsonFormat({ tenant: 'acme', version: '1' }),
      wants: () => true,
      redact: (event) => event,
      openSink: () => sink,
    },
    life,
  );
  if (route === undefined) throw new Error('no route');
  const poll = () => route.once(log.nowMs, life);
  return { route, sink, happenings, poll };
}

describe('a busy minute of 60,000 events', () => {
  it.each([
    ['in runs', 1, 256],
    ['with a hole after every id', 2, 1024],
  ])(
    '%s keeps the checkpoint small and the polls within their allowance, and loses no late event',
    async (_, gap, kib) => {
      const log = new Log();
      const start = log.nowMs;
      const perSecond = 1_000;
      for (let i = 1; i <= 120_000; i++) {
        const createdAtMs = start + i;
        // One in 997 is seen up to most of `settle` later.
        const late = i % 997 === 0 ? 20_000 + (i % 30_000) : 0;
        log.rows.push({ id: i * gap, createdAtMs, visibleMs: createdAtMs + late });
      }
      const store = new MemoryStore();
      const { sink, happenings, poll, route } = await routed(log, store);
      const pollMs = 15_000;
      let most = 0;
      for (let polls = 0; polls < 8 + 8; polls++) {
        log.nowMs += pollMs;
        const before = log.requests;
        await poll();
        most = Math.max(most, log.requests - before);
      }
      expect(most).toBeLessThanOrEqual((pollMs / 1000) * 10);
      expect(most).toBeLessThan(((2 * perSecond * pollMs) / 1000 / 1000) * 1.5 + 5);
      expect(store.largestBytes).toBeLessThan(kib * 1024);
      const came = new Set(sink.taken);
      expect(sink.taken.length).toBe(120_000);
      expect(came.size).toBe(120_000);
      expect(happenings.filter(({ event }) => event === 'route.late').length).toBeGreaterThan(1);
      expect(route.after).toBe(BigInt(120_000 * gap));
      expect(store.last?.delivered).toEqual([]);
    },
    60_000,
  );
});

describe('a route over a pause longer than settle', () => {
  it('delivers what appeared behind its cursor meanwhile, and nothing twice', async () => {
    const log = new Log();
    const at = log.nowMs;
    const row = (id: number, visibleMs: number): Row => ({ id, createdAtMs: at, visibleMs });
    log.rows.push(row(1, at), row(2, at + 30_000), row(3, at), row(4, at + 500_000));
    const store = new MemoryStore();
    const first = await routed(log, store);
    await first.poll();
    expect(first.sink.taken).toEqual([1n, 3n]);
    log.nowMs += 600_000;
    const second = await routed(log, store);
    await second.poll();
    expect(second.sink.taken).toEqual([2n, 4n]);
    await second.poll();
    expect(second.route.after).toBe(4n);
  });
});
