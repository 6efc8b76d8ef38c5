import { describe, expect, it } from 'vitest';
import { type AuditEvent, auditEvent } from '../../src/event/event.ts';
import { actionFilter } from '../../src/format/filter.ts';
import type { Format } from '../../src/format/format.ts';
import { jsonFormat } from '../../src/format/json.ts';
import { redactor } from '../../src/format/redact.ts';
import { encodePage } from '../../src/pipeline/encode.ts';
import { Log, MemoryStore, startPipeline } from '../support/pipelines.ts';

const minute = 60_000;
const json = jsonFormat({ tenant: 'acme', version: '1' });
const logOf = (...actions: string[]) => {
  const log = new Log();
  for (const [at, action] of actions.entries())
    log.rows.push({ id: at + 1, createdAtMs: log.nowMs, visibleMs: log.nowMs, action });
  return log;
};

/** A dead letter that keeps in memory what it is given. */
function deadLetters() {
  const kept: { id: bigint; reason: string; text: string }[] = [];
  const deadLetter = {
    open: async () => {},
    append: async ({ reason, event }: { reason: string; event: { id: bigint; text: Buffer } }) =>
      void kept.push({ id: event.id, reason, text: event.text.toString() }),
  };
  return { kept, deadLetter };
}

describe('an event that a format or redaction throws at', () => {
  const failing: Format = {
    ...json,
    name: 'cef',
    encode(event) {
      if (event.action === 'bad') throw new Error('no such thing\n\u001b[31m');
      return json.encode(event);
    },
  };
  const broken = 'bug in the format cef, please report it: no such thing\\u000a\\u001b[31m';

  it('goes to the dead letter alone, as malformed and as our bug; the others are delivered', async () => {
    const { kept, deadLetter } = deadLetters();
    const log = logOf('a', 'bad', 'c', 'bad', 'e');
    const { sink, events, poll, pipeline } = await startPipeline(log, new MemoryStore(), {
      format: failing,
      deadLetter,
    });
    await poll();
    expect(sink.taken).toEqual([1n, 3n, 5n]);
    expect(kept.map(({ id, reason }) => [id, reason])).toEqual([
      [2n, `malformed: ${broken}`],
      [4n, `malformed: ${broken}`],
    ]);
    expect(events.filter(({ event }) => event === 'pipeline.set_aside')).toEqual(
      [2n, 4n].map((id) => ({
        event: 'pipeline.set_aside',
        sink: 'test',
        id,
        reason: 'malformed',
        detail: broken,
      })),
    );
    log.nowMs += 2 * minute;
    await poll();
    expect(pipeline.after).toBe(5n);
    expect(kept).toHaveLength(2);
  });

  it('is not quoted in the reason, as a syntax error would quote it', async () => {
    const { kept, deadLetter } = deadLetters();
    const encode = (): Buffer => JSON.parse('{"email":ann@acme.test}');
    const { poll } = await startPipeline(logOf('a'), new MemoryStore(), { format: { ...failing, encode }, deadLetter });
    await poll();
    expect(kept[0]?.reason).toMatch(/the format cef, please report it: SyntaxError$/);
  });

  it('is kept as the API sent it, unredacted', async () => {
    const { kept, deadLetter } = deadLetters();
    const redact = () => {
      throw new Error('deep inside');
    };
    const { sink, poll } = await startPipeline(logOf('a'), new MemoryStore(), { redact, deadLetter });
    await poll();
    expect(sink.taken).toEqual([]);
    expect(kept.map(({ text }) => JSON.parse(text))).toMatchObject([{ id: 1, action: 'a' }]);
  });
});

describe('an event that was filtered', () => {
  const without = (...exclude: string[]) => ({ wants: actionFilter({ exclude }) });

  it('stays filtered when a new configuration would let it through, inside the settle window and after', async () => {
    const store = new MemoryStore();
    const log = logOf('user.login', 'project.read', 'user.logout', 'project.read');
    const before = await startPipeline(log, store, without('*.read'));
    await before.poll();
    expect(before.sink.taken).toEqual([1n, 3n]);
    expect(before.events).toContainEqual({ event: 'pipeline.filtered', sink: 'test', events: 2 });
    expect(before.pipeline.after).toBe(0n);

    log.nowMs += minute / 4;
    log.rows.push({ id: 5, createdAtMs: log.nowMs, visibleMs: log.nowMs, action: 'project.read' });
    const after = await startPipeline(log, store);
    await after.poll();
    expect(after.sink.taken).toEqual([5n]);
    log.nowMs += 2 * minute;
    await after.poll();
    expect(after.sink.taken).toEqual([5n]);
    expect(after.pipeline.after).toBe(5n);
  });

  it('does not come back as another when a new configuration would leave out what was delivered', async () => {
    const store = new MemoryStore();
    const log = logOf('user.login', 'project.read');
    await (await startPipeline(log, store)).poll();
    const after = await startPipeline(log, store, without('*'));
    await after.poll();
    expect(after.events.filter(({ event }) => event === 'pipeline.filtered')).toEqual([]);
    expect(after.sink.taken).toEqual([]);
  });

  it('moves the checkpoint where nothing else comes', async () => {
    const store = new MemoryStore();
    const log = logOf('project.read', 'project.read');
    const { poll, sink } = await startPipeline(log, store, without('*'));
    await poll();
    expect(store.last?.delivered).toEqual([[1n, 2n]]);
    log.nowMs += 2 * minute;
    await poll();
    expect(store.last?.after).toBe(2n);
    expect(sink.sends).toEqual([]);
  });
});

describe('the records of a page', () => {
  /** Events as the source cuts them: views into one page. */
  const cut = (count: number) => {
    const texts = Array.from({ length: count }, (_, index) =>
      JSON.stringify({ id: index + 1, action: index % 100 === 0 ? 'kept' : 'dropped', note: 'x'.repeat(4_000) }),
    );
    const page = Buffer.allocUnsafeSlow(texts.join('').length);
    let end = 0;
    return texts.map((text, index) => {
      const from = end;
      end += page.write(text, from);
      return auditEvent({ id: BigInt(index + 1), text: page.subarray(from, end), receivedAtMs: 0 });
    });
  };
  const redact = redactor(['note']);

  it.each([
    ['as they are', { format: json, redact: (event: AuditEvent) => event }],
    ['redacted', { format: json, redact }],
    ['in another format', { format: jsonFormat({ tenant: 'acme', version: '1' }, true), redact }],
  ])('do not keep the page in memory if a filter keeps few of them, %s', (_, how) => {
    const events = cut(1_000);
    const { records, filtered } = encodePage(events, { wants: (action) => action === 'kept', ...how });
    expect([records.length, filtered.length]).toEqual([10, 990]);
    const buffers = records.flatMap(({ event, redacted, record }) => [event.text, redacted.text, record]);
    const held = [...new Set(buffers.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(held).toBeLessThan((events[0]?.text.buffer.byteLength ?? 0) / 5);
    for (const { event } of records)
      expect(event.text.equals(events[Number(event.id) - 1]?.text ?? Buffer.of())).toBe(true);
  });

  it('are views into the page if it is needed anyway', () => {
    const events = cut(100);
    const { records } = encodePage(events, { wants: () => true, format: json, redact: (event) => event });
    expect(records.every(({ event, record }, at) => event === events[at] && record.buffer === event.text.buffer)).toBe(
      true,
    );
  });
});
