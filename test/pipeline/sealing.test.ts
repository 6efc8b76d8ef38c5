import { describe, expect, it } from 'vitest';
import { type Chain, type FoundSeal, verifyChain } from '../../src/evidence/chain.ts';
import { parseSeal, type Seal } from '../../src/evidence/seal.ts';
import { RecordVerifier } from '../../src/evidence/verify-records.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import type { SealingOptions } from '../../src/pipeline/sealer.ts';
import type { Checkpoint } from '../../src/state/store.ts';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';

const seconds = 1000;
/** A person asks for an attempt now. */
const wake = new Notifier();

function sealingOf(store: MemoryStore): SealingOptions {
  return {
    store: store.seals('test'),
    everyMs: 3_600 * seconds,
    facts: {
      ...{ tenant: 'acme', sink: 'test', config: 'ab'.repeat(32), epoch: 0 },
      software: { name: 'qasphere-siem-forwarder', version: '1.0.0' },
    },
    proof: () => 'fsync',
    operations: (from) => store.operations(from),
  };
}

/** A pipeline that seals; the records it delivers are kept. */
async function start(log: Log, store: MemoryStore, records: string[] = []) {
  const started = await startPipeline(log, store, { settleMs: 6 * seconds, sealing: sealingOf(store), wake });
  const { sink } = started;
  const { answer } = sink;
  sink.answer = (batch, attempt, kill) => {
    records.push(...batch.records.map(({ record }) => String(record)));
    return answer(batch, attempt, kill);
  };
  return { ...started, records };
}

async function sealsIn(store: MemoryStore): Promise<FoundSeal[]> {
  const found: FoundSeal[] = [];
  for await (const text of store.seals('test').lines()) {
    const parsed = parseSeal(text);
    if (parsed.kind !== 'seal') throw new Error(parsed.detail);
    found.push({ seal: parsed.seal, line: parsed.line, text, place: `line ${found.length + 1}` });
  }
  return found;
}

/** What is broken or not covered, in words. */
function flawsOf(found: readonly FoundSeal[], records: readonly string[]): string[] {
  const chain: Chain = verifyChain(found, {});
  using verifier = new RecordVerifier(chain);
  for (const text of records)
    verifier.add({ kind: 'record', id: /\d+/.exec(text)?.[0] ?? '', bytes: Buffer.from(text) });
  return [...chain.flaws, ...verifier.finish().flaws].map(({ detail }) => detail);
}

const sealOf = ({ seal }: FoundSeal): Seal => seal;
const fill = (log: Log, from: number, to: number) => {
  const at = log.nowMs;
  for (let id = from; id <= to; id++) log.rows.push({ id, createdAtMs: at, visibleMs: at });
  log.nowMs += 10 * seconds;
};

describe('a pipeline that seals', () => {
  it('covers every event once, in a chain without a hole', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 50);
    const { poll, records } = await start(log, store);
    await poll();
    fill(log, 60, 90);
    await poll();
    const found = await sealsIn(store);
    expect(flawsOf(found, records)).toEqual([]);
    expect(found.map(sealOf).at(-1)?.tree.size).toBe(81);
  });

  it('keeps the seal in progress below 4 KiB, however the ids lie', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    log.pageSize = 100;
    for (let id = 2; id <= 8_000; id += 2 + (id % 7))
      log.rows.push({ id, createdAtMs: log.nowMs, visibleMs: log.nowMs });
    log.nowMs += 10 * seconds;
    let most = 0;
    const save = store.save.bind(store);
    store.save = async (checkpoint: Checkpoint) => {
      most = Math.max(most, JSON.stringify(checkpoint.seal).length);
      await save(checkpoint);
    };
    const { poll, records } = await start(log, store);
    await poll();
    expect(most).toBeGreaterThan(1_000);
    expect(most).toBeLessThan(4_096);
    expect(flawsOf(await sealsIn(store), records)).toEqual([]);
  });

  it('announces after a death what the dead process may have had on the wire, and nothing after a stop', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    const { poll } = await start(log, store, records);
    await poll();
    fill(log, 21, 30);
    const second = await start(log, store, records);
    const before = store.last as Checkpoint;
    await second.poll();
    expect((await sealsIn(store)).flatMap(({ seal }) => seal.resent ?? [])).toEqual([]);
    expect(flawsOf(await sealsIn(store), records)).toEqual([]);

    // As if it had died before its first save behind the first one: what it delivered is delivered again.
    const dead = new MemoryStore();
    for (const { line } of (await sealsIn(store)).slice(0, 2)) await dead.seals('test').append(line, 0);
    await dead.save({ ...before, seal: { ...(before.seal as object), isClean: false } });
    const third = await start(log, dead, records);
    await third.poll();
    const found = await sealsIn(dead);
    expect(found.flatMap(({ seal }) => seal.resent ?? [])).toEqual([{ ids: '21-30', reason: 'restart' }]);
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('continues after a seal that was written before a death, without a second one', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    let before: Checkpoint | undefined;
    const append = store.seals('test').append.bind(store.seals('test'));
    store.seals('test').append = async (line, atMs) => {
      before = store.last;
      await append(line, atMs);
    };
    await (await start(log, store, records)).poll();
    // The last seal is there, and the checkpoint is that of the moment before.
    await store.save(before as Checkpoint);
    fill(log, 21, 25);
    await (await start(log, store, records)).poll();
    const found = await sealsIn(store);
    expect(found.map(({ seal }) => seal.seq)).toEqual(found.map((_, index) => index + 1));
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('begins where the cursor was moved to, and names what is delivered again though nobody logged it', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    await (await start(log, store, records)).poll();
    await store.save({ ...(store.last as Checkpoint), after: 12n });
    await (await start(log, store, records)).poll();
    const found = await sealsIn(store);
    expect(found.flatMap(({ seal }) => seal.operations ?? [])).toEqual([
      { op: 'cursor-set', from: '20', to: '12', ids: '13-20' },
    ]);
    expect(records).toHaveLength(28);
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('names a moved cursor in the seal that begins there, also after a death within an interval', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    let during: Checkpoint | undefined;
    const save = store.save.bind(store);
    store.save = async (checkpoint) => {
      await save(checkpoint);
      // Saved behind the last event, before the seal of the stop.
      if (checkpoint.after === 20n) during ??= checkpoint;
    };
    await (await start(log, store, records)).poll();
    const dead = new MemoryStore();
    const [first] = await sealsIn(store);
    await dead.seals('test').append(first?.line ?? '', 0);
    await dead.record({ operation: 'cursor set', sink: 'test', from: { id: 20n }, to: { id: 12n } });
    await dead.save({ ...(during as Checkpoint), after: 12n });
    await (await start(log, dead, records)).poll();
    const found = await sealsIn(dead);
    const moved = found.findIndex(({ seal }) => seal.from.after === '12');
    expect(found[moved]?.seal.operations).toMatchObject([{ op: 'cursor-set', from: '20', to: '12', ids: '13-20' }]);
    expect(found[moved - 1]?.seal).toMatchObject({ delivered: { count: 20 } });
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('names a cursor that was reset, though its state went with it', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    await (await start(log, store, records)).poll();
    await store.record({
      operation: 'cursor reset',
      sink: 'test',
      at: '2100-01-01T00:00:00.000Z',
      from: { id: 20n },
      to: { id: 0n },
    });
    await store.remove('test');
    await (await start(log, store, records)).poll();
    const found = await sealsIn(store);
    expect(found.flatMap(({ seal }) => seal.operations ?? [])).toMatchObject([
      { op: 'cursor-set', from: '20', to: '0', ids: '1-20' },
    ]);
    expect(records).toHaveLength(40);
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('keeps its chain whole when the state is restored from an older copy', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 20);
    const records: string[] = [];
    await (await start(log, store, records)).poll();
    const copy = new MemoryStore();
    for (const { line } of await sealsIn(store)) await copy.seals('test').append(line, 0);
    await copy.save(store.last as Checkpoint);
    fill(log, 21, 30);
    await (await start(log, store, records)).poll();
    await (await start(log, copy, records)).poll();
    const found = await sealsIn(copy);
    expect(verifyChain(found, {}).flaws).toEqual([]);
    // A copy does not know what was delivered after it was made, so nothing announces that it came twice.
    expect(flawsOf(found, records)).toHaveLength(10);
    expect(flawsOf(found, records.slice(0, 30))).toEqual([]);
  });

  it('delivers again what counts as delivered without its hash, and announces it', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    const at = log.nowMs;
    for (const id of [1, 2, 3]) log.rows.push({ id, createdAtMs: at, visibleMs: at });
    const records: string[] = [];
    await (await start(log, store, records)).poll();
    expect(store.last?.delivered).toEqual([[1n, 3n]]);
    await store.seals('test').replaceUnsealed([]);
    log.nowMs += 10 * seconds;
    await (await start(log, store, records)).poll();
    expect(records).toHaveLength(6);
    const found = await sealsIn(store);
    expect(found.flatMap(({ seal }) => seal.resent ?? [])).toEqual([{ ids: '1-3', reason: 'restart' }]);
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('begins its chain behind what was delivered before it sealed', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 5);
    const unsealed = await startPipeline(log, store, { settleMs: 6 * seconds });
    await unsealed.poll();
    fill(log, 6, 9);
    const { poll, records } = await start(log, store);
    await poll();
    const found = await sealsIn(store);
    expect(found[0]?.seal.from.after).toBe('5');
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('sets an event that appears too late aside, and amends the seal that should have had it', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    const at = log.nowMs;
    log.rows.push(
      { id: 8, createdAtMs: at, visibleMs: at },
      { id: 9, createdAtMs: at + 4 * seconds, visibleMs: at + 9 * seconds },
      { id: 10, createdAtMs: at, visibleMs: at },
    );
    const { poll, records, sink } = await start(log, store);
    await poll();
    log.nowMs += 7 * seconds;
    await poll();
    log.nowMs += 600 * seconds;
    await poll();
    await poll();
    const found = await sealsIn(store);
    const [amendment] = found.filter(({ seal }) => seal.amends !== undefined);
    expect(amendment?.seal.deadLettered).toEqual({ count: 1, ids: '9' });
    const amended = found.find(({ seal }) => seal.seq === amendment?.seal.amends);
    expect(amended?.seal.delivered.ids).toBe('8,10');
    expect(sink.taken).toEqual([8n, 10n]);
    expect(await store.deadLetters('test').summary({ after: 0n })).toMatchObject({ events: 1, first: 9n });
    expect(flawsOf(found, records)).toEqual([]);
  });

  it('announces what was sent and refused later, and not what was refused at once', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 10);
    const { poll, sink, pipeline } = await start(log, store);
    const { answer } = sink;
    const refused = { kind: 'stop', reason: 'auth', detail: 'no' } as const;
    sink.answer = (batch, attempt, kill) => {
      // A refused sink is tried again every minute, or when a person asks.
      if (attempt <= 2) setImmediate(() => wake.notify());
      if (attempt === 1) return refused;
      return attempt === 2 ? { kind: 'sent', confirmed: Promise.resolve(refused) } : answer(batch, attempt, kill);
    };
    await poll();
    expect(sink.sends).toHaveLength(3);
    expect(pipeline.isSaved).toBe(true);
    expect((await sealsIn(store)).flatMap(({ seal }) => seal.resent ?? [])).toEqual([
      { ids: '1-10', reason: 'sent again' },
    ]);
    const empty = new MemoryStore();
    const once = await start(log, empty);
    const other = once.sink.answer;
    once.sink.answer = (batch, attempt, kill) => {
      if (attempt > 1) return other(batch, attempt, kill);
      setImmediate(() => wake.notify());
      return refused;
    };
    await once.poll();
    expect(once.sink.sends).toHaveLength(2);
    expect((await sealsIn(empty)).flatMap(({ seal }) => seal.resent ?? [])).toEqual([]);
  });

  it('neither loses nor doubles a seal on a disk that fills', async () => {
    const [log, store] = [new Log(), new MemoryStore()];
    fill(log, 1, 10);
    const { poll, records, pipeline } = await start(log, store);
    const seals = store.seals('test');
    const append = seals.append.bind(seals);
    let failures = 0;
    seals.append = async (line, atMs) => {
      if (failures++ < 1) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      await append(line, atMs);
    };
    await poll();
    expect(failures).toBeGreaterThan(1);
    expect(pipeline.lastError).toBeUndefined();
    expect(flawsOf(await sealsIn(store), records)).toEqual([]);
  });
});
