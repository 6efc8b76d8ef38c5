import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/event/event.ts';
import { jsonFormat } from '../../src/format/json.ts';
import type { Ticks } from '../../src/pipeline/pipeline.ts';
import { s3 } from '../../src/sinks/s3/definition.ts';
import type { AnnouncedRange } from '../../src/sinks/sink.ts';
import { configOf, load, withSink } from '../support/configuration.ts';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';
import { fakeKeys, S3Server } from '../support/s3-server.ts';
import { ScriptedSink } from '../support/scripted-sink.ts';
import { sinkDeps } from '../support/sink-parts.ts';

const hour = 3_600_000;

/** Recognises a batch only in the same composition. */
class AnnouncingSink extends ScriptedSink {
  override readonly limits: { maxEvents: number; maxBytes: number; maxAgeMs: number };
  readonly announced: readonly AnnouncedRange[];
  #pending: readonly AnnouncedRange[] = [];
  constructor(maxAgeMs: number, maxEvents = 10, pending: unknown = []) {
    super();
    this.limits = { maxEvents, maxBytes: 1e9, maxAgeMs };
    this.announced = ((pending ?? []) as [string, string, number][]).map(([from, to, receivedAtMs]) => ({
      ...{ from: BigInt(from), to: BigInt(to), receivedAtMs },
    }));
  }
  announce({ records }: Batch): void {
    this.#pending = records.map(({ event: { id, receivedAtMs } }) => ({ from: id, to: id, receivedAtMs }));
  }
  pendingAcks(): unknown {
    return this.#pending.map(({ from, to, receivedAtMs }) => [String(from), String(to), receivedAtMs]);
  }
}

/** Runs a pipeline that polls when the test says so. */
async function running(log: Log, store: MemoryStore, sink: AnnouncingSink, envelope = false) {
  const started = await startPipeline(log, store, {
    openSink: () => sink,
    pageSize: log.pageSize,
    format: jsonFormat({ tenant: 'acme', version: '1' }, envelope),
  });
  let go = Promise.withResolvers<number | undefined>();
  let polls = 0;
  const waiting: (() => void)[] = [];
  const ticks: Ticks = {
    next: (_, stop) => {
      polls += 1;
      for (const resolve of waiting.splice(0)) resolve();
      stop.addEventListener('abort', () => go.resolve(undefined));
      return go.promise;
    },
  };
  const run = started.pipeline.run(ticks, started.signals);
  const poll = async () => {
    const before = polls;
    const current = go;
    go = Promise.withResolvers();
    current.resolve(log.nowMs);
    await expect.poll(() => polls).toBeGreaterThan(before);
  };
  await expect.poll(() => polls).toBe(1);
  const end = async () => {
    started.stop.abort();
    await run;
  };
  return { ...started, poll, end };
}

function logOf(...ids: number[]) {
  const log = new Log();
  for (const id of ids) log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs });
  return log;
}
const add = (log: Log, ...ids: number[]) => {
  for (const id of ids) log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs });
  log.rows.sort((a, b) => a.id - b.id);
};

describe('a batch that gathers', () => {
  it('has the events of several polls, and is sent when it is full', async () => {
    const log = logOf(1, 2);
    const sink = new AnnouncingSink(hour, 5);
    const { poll, end } = await running(log, new MemoryStore(), sink);
    await poll();
    add(log, 3, 4);
    await poll();
    expect(sink.sends).toEqual([]);
    add(log, 5, 6);
    await poll();
    await expect.poll(() => sink.taken.length).toBe(5);
    await end();
    expect(sink.sends).toEqual([[1n, 2n, 3n, 4n, 5n]]);
  });

  it('has late events in their place, each once', async () => {
    const log = logOf(10, 12, 14, 16);
    const sink = new AnnouncingSink(hour, 7);
    const { poll, end, events } = await running(log, new MemoryStore(), sink);
    await poll();
    add(log, 9, 11);
    for (let turn = 0; turn < 3; turn++) await poll();
    add(log, 18);
    await poll();
    await expect.poll(() => sink.taken.length).toBe(7);
    await end();
    expect(sink.sends).toEqual([[9n, 10n, 11n, 12n, 14n, 16n, 18n]]);
    expect(events.filter(({ event }) => event === 'pipeline.late')).toHaveLength(1);
  });

  it('is not sent at a graceful stop, and its events come at the next start', async () => {
    const log = logOf(1, 2);
    const store = new MemoryStore();
    const sink = new AnnouncingSink(hour);
    const { poll, end } = await running(log, store, sink);
    await poll();
    await end();
    expect(sink.sends).toEqual([]);
    const next = new AnnouncingSink(hour);
    await (await startPipeline(log, store, { openSink: () => next })).poll();
    expect(next.taken).toEqual([1n, 2n]);
  });
});

describe.each([
  ['with an age', hour],
  ['without an age', 0],
])('a batch that was announced before a crash, %s,', (_, maxAgeMs) => {
  /** A process that dies while the destination stores its batch 1 to 4. */
  async function crashed(log: Log, store: MemoryStore, envelope = false) {
    const sink = new AnnouncingSink(maxAgeMs, maxAgeMs === 0 ? 10 : 4);
    const sent: string[] = [];
    const stored = Promise.withResolvers<void>();
    sink.answer = ({ records }) => {
      sent.push(records.map(({ record }) => record.toString()).join('\n'));
      stored.resolve();
      return new Promise(() => {});
    };
    const { poll } = await running(log, store, sink, envelope);
    void poll();
    await stored.promise;
    return { sent, saved: store.last };
  }

  it('is sent again in the same composition, although there are more events and they come in several pages', async () => {
    const log = logOf(1, 2, 3, 4);
    const store = new MemoryStore();
    const { saved } = await crashed(log, store);
    log.pageSize = 3;
    add(log, 5, 6, 7, 8, 9);
    const sink = new AnnouncingSink(maxAgeMs, 10, saved?.pendingAcks);
    const { poll, end } = await running(log, store, sink);
    await poll();
    await expect.poll(() => sink.taken.length).toBeGreaterThanOrEqual(4);
    await end();
    expect(sink.sends[0]).toEqual([1n, 2n, 3n, 4n]);
  });

  it('has the same bytes, although the format contains the time of receipt', async () => {
    const log = logOf(1, 2, 3, 4);
    log.receivedAtMs = 1_000;
    const store = new MemoryStore();
    const { sent, saved } = await crashed(log, store, true);
    log.receivedAtMs = 2_000;
    const sink = new AnnouncingSink(maxAgeMs, 10, saved?.pendingAcks);
    const again: string[] = [];
    sink.answer = ({ records }) => {
      again.push(records.map(({ record }) => record.toString()).join('\n'));
      return sink.take(records);
    };
    const { poll, end } = await running(log, store, sink, true);
    await poll();
    await expect.poll(() => again).toEqual(sent);
    await end();
  });

  it('is sent without events that are gone from the log', async () => {
    const log = logOf(1, 2, 3, 4);
    const store = new MemoryStore();
    const { saved } = await crashed(log, store);
    log.rows.splice(2, 2);
    const sink = new AnnouncingSink(maxAgeMs, 10, saved?.pendingAcks);
    const { poll, end } = await running(log, store, sink);
    await poll();
    await expect.poll(() => sink.sends).toEqual([[1n, 2n]]);
    await end();
  });

  it('is not made smaller by a late event that appeared meanwhile', async () => {
    const log = logOf(2, 3, 4, 5);
    const store = new MemoryStore();
    const { saved } = await crashed(log, store);
    add(log, 1);
    const sink = new AnnouncingSink(maxAgeMs, 10, saved?.pendingAcks);
    const { poll, end } = await running(log, store, sink);
    await poll();
    await expect.poll(() => sink.sends[0]).toEqual([2n, 3n, 4n, 5n]);
    await end();
  });
});

describe('what the s3 sink announced', () => {
  it('is read by its successor, and anything else is ignored', async () => {
    await using server = await S3Server.start();
    const lines = ['type: s3', 'bucket: audit', `endpoint: ${server.server.url}`, 'pathStyle: true'];
    const env = { QASPHERE_API_KEY: 'k', AWS_SECRET: fakeKeys.secretAccessKey };
    const keys = [`accessKeyId: ${fakeKeys.accessKeyId}`, 'secretAccessKey: ${AWS_SECRET}'];
    const [config] = configOf(load(withSink(...lines, ...keys), env)).sinks;
    if (config?.type !== 's3') throw new Error('no sink');
    const announcedIn = async (pendingAcks: unknown) => {
      await using sink = s3.open(config, sinkDeps({ pendingAcks }));
      return sink.announced;
    };
    expect(await announcedIn([['1', '3', 7.5]])).toEqual([{ from: 1n, to: 3n, receivedAtMs: 7.5 }]);
    const others = [undefined, 'x', { a: 1 }, [1], [['1']], [['1', 'x', 1]], [['1', '9'.repeat(30), 1]]];
    for (const other of others) expect(await announcedIn(other)).toEqual([]);
  });
});
