// Above 250 lines: one suite, one section a capability, to be read from top to bottom by whoever writes a sink.
import assert from 'node:assert/strict';
import { auditEvent, type Batch, type Encoded } from '../event/event.ts';
import type { StatusRecord } from '../event/status-record.ts';
import { jsonFormat } from '../format/json.ts';
import { bigintsAsText } from '../lib/json.ts';
import { reasons, type Verdict } from '../lib/verdict.ts';
import type { Sent, Sink, SinkDeps } from '../sinks/sink.ts';
import type { TelemetryEvent } from '../telemetry/telemetry-event.ts';

/** How tests are registered: `describe` and `it` of vitest, or of node:test. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}

/** One message, line or event as it arrived at the destination. */
export interface Arrival {
  /** Contains the record's text. */
  readonly text: string;
  /** The destination's user can tell that it is a status record of the forwarder, not an audit event. */
  readonly isStatus: boolean;
}

/**
 * A kind of sink and a destination under the test's control. The optional functions are the capabilities: a test that
 * needs one which is missing is not registered. Each puts the destination into a state that lasts until `recover`.
 */
export interface SinkUnderTest<Destination extends AsyncDisposable> {
  readonly name: string;
  /** Starts an empty, working destination. */
  start(): Promise<Destination>;
  /** Opens a sink that delivers to it; called again for a restarted process. */
  open(destination: Destination, deps: SinkDeps): Sink | Promise<Sink>;
  /** Everything that arrived, in order, as text. */
  arrivals(destination: Destination): readonly Arrival[];
  /** Texts that must never appear in a verdict or an event: tokens, passwords, keys. */
  readonly secrets?: readonly string[];
  /** The destination is down, or answers with a temporary error. */
  fail?(destination: Destination): void | Promise<void>;
  /** The destination refuses us, whatever we send. */
  refuse?(destination: Destination): void | Promise<void>;
  /** The destination refuses every batch that contains the event with this id. */
  reject?(destination: Destination, id: bigint): void | Promise<void>;
  /** The destination takes connections, but answers and confirms nothing. */
  stall?(destination: Destination): void | Promise<void>;
  /** The destination works again. */
  recover?(destination: Destination): void | Promise<void>;
  /** Connections that the destination has open. */
  connections?(destination: Destination): number;
  /** Longest wait for anything that must happen, milliseconds. Default 15 s, below the runners' own limits. */
  readonly waitMs?: number;
  /** The destination may receive in another order than sent, or lose what was sent: as UDP may. */
  readonly unordered?: true;
}

const DEFAULT_WAIT_MS = 15_000;
const attempts = 200;
const attemptPauseMs = 10;

/**
 * Registers the tests that every sink must pass, organised by capability. One long function: a list of tests, to be read from
 * top to bottom.
 */
export function sinkConformance<Destination extends AsyncDisposable>(
  { describe, it }: TestRunner,
  subject: SinkUnderTest<Destination>,
): void {
  type Test = (title: string, body: (bench: TestBench<Destination>) => Promise<void>) => void;
  /** Registers the tests that `collect` finds possible; each gets a destination and a sink, both closed afterwards. */
  const section = (capability: string, collect: (test: Test) => void) => {
    const found: Parameters<Test>[] = [];
    collect((...test) => found.push(test));
    if (found.length === 0) return;
    describe(`${subject.name}: ${capability}`, () => {
      for (const [title, body] of found)
        it(title, async () => {
          await using bench = await TestBench.open(subject);
          await body(bench);
          bench.assertNoSecrets();
        });
    });
  };

  section('order', (test) => {
    test('delivers every record once, unchanged and in the order of ids', async (bench) => {
      const ids = range(1, 30);
      for (let at = 0; at < ids.length; at += 10) await bench.deliver(ids.slice(at, at + 10));
      await bench.arrived(ids.length);
      const texts = bench.records().map(({ text }) => text);
      const expected = ids.map((id) => textOf(id));
      if (subject.unordered) assert.deepEqual(new Set(texts.map(idOf)), new Set(ids));
      else assert.deepEqual(texts.map(idOf), ids);
      for (const [index, text] of texts.entries()) {
        const record = expected.find((one) => idOf(one) === idOf(text));
        assert.ok(record !== undefined && text.includes(record), `record ${index} arrived changed: ${text}`);
      }
    });
  });

  section('window', (test) => {
    test('declares a window and limits that a batch can meet', async ({ sink }) => {
      assert.ok(Number.isInteger(sink.window) && sink.window >= 1, `window is ${sink.window}`);
      assert.ok(Number.isInteger(sink.limits.maxEvents) && sink.limits.maxEvents >= 1);
      assert.ok(sink.limits.maxBytes >= 1 && (sink.limits.overheadBytes ?? 0) >= 0);
    });

    test('takes as many unconfirmed batches as the window says, and confirms all of them', async (bench) => {
      const { sink } = bench;
      const open: Promise<Verdict>[] = [];
      const count = 6;
      for (const id of range(1, count)) {
        if (open.length >= sink.window) {
          await sink.finish?.(bench.never);
          assert.equal((await bench.soon(open.shift() as Promise<Verdict>, 'a confirmation')).kind, 'accepted');
        }
        const answer = await bench.send([id]);
        if (answer.kind === 'sent') open.push(answer.confirmed);
        else assert.equal(answer.kind, 'accepted', JSON.stringify(answer));
      }
      await sink.finish?.(bench.never);
      for (const confirmed of open) assert.equal((await bench.soon(confirmed, 'a confirmation')).kind, 'accepted');
      await bench.arrived(count);
    });
  });

  section('confirmation', (test) => {
    test('confirms only what arrives', async (bench) => {
      assert.deepEqual(await bench.deliver(range(1, 5)), []);
      await bench.arrived(5);
    });

    const { fail, recover } = subject;
    if (fail !== undefined && recover !== undefined)
      test('answers with retry while the destination is down, and confirms nothing', async (bench) => {
        await fail(bench.destination);
        const verdict = await bench.confirmed(await bench.send([1]));
        assert.equal(verdict.kind, 'retry', JSON.stringify(verdict));
      });

    const { refuse } = subject;
    if (refuse !== undefined)
      test('answers with stop when the destination refuses us, for a batch and for the probe', async (bench) => {
        await refuse(bench.destination);
        const verdict = await bench.confirmed(await bench.send([1]));
        assert.equal(verdict.kind, 'stop', JSON.stringify(verdict));
        assert.notEqual(bench.checked(await bench.sink.probe(bench.never), 0).kind, 'accepted');
      });

    test('accepts a probe and delivers nothing with it', async (bench) => {
      assert.deepEqual(bench.checked(await bench.sink.probe(bench.never), 0), { kind: 'accepted' });
      await bench.deliver([1]);
      await bench.arrived(1);
      assert.equal(bench.records().length, 1);
    });
  });

  section('resending', (test) => {
    const { fail, recover } = subject;
    if (fail !== undefined && recover !== undefined)
      test('delivers a batch that is sent again after the destination was down', async (bench) => {
        await bench.deliver([1, 2]);
        await fail(bench.destination);
        await bench.confirmed(await bench.send([3, 4]));
        await recover(bench.destination);
        await bench.deliver([3, 4]);
        await bench.deliver([5]);
        await bench.until(() => [1, 2, 3, 4, 5].every((id) => bench.ids().includes(id)), 'every event');
        assert.deepEqual([...new Set(bench.ids())], [1, 2, 3, 4, 5]);
      });

    test('tells a restarted process what was not confirmed, if it remembers anything', async (bench) => {
      await bench.deliver([1]);
      const answer = await bench.send([2, 3]);
      const pendingAcks = JSON.parse(JSON.stringify(bench.sink.pendingAcks?.() ?? null)) as unknown;
      if (answer.kind === 'sent') answer.confirmed.catch(() => {});
      await bench.reopen(pendingAcks ?? undefined);
      for (const { ranges, confirmed } of bench.sink.resumed ?? []) {
        for (const [from, to] of ranges) assert.ok(from >= 1n && from <= to && to <= 3n, `${from} to ${to}`);
        bench.checked(await bench.soon(confirmed, 'the verdict on a resumed batch'), 3);
      }
      await bench.deliver([4]);
      await bench.until(() => bench.ids().includes(4), 'the next event');
    });
  });

  section('narrowing', (test) => {
    const { reject } = subject;
    if (reject !== undefined)
      test('rejects one event for its content and delivers the others', async (bench) => {
        await reject(bench.destination, 3n);
        const rejected = await bench.deliver(range(1, 5));
        assert.deepEqual(rejected, [3]);
        await bench.until(() => [1, 2, 4, 5].every((id) => bench.ids().includes(id)), 'every other event');
        assert.ok(!bench.ids().includes(3));
      });
  });

  section('disposal', (test) => {
    test('closes when idle, leaves no connection, and may be closed twice', async (bench) => {
      await bench.deliver([1]);
      await bench.close();
      await bench.close();
      const { connections } = subject;
      if (connections !== undefined) await bench.until(() => connections(bench.destination) === 0, 'no connection');
    });

    test('closes before anything was sent', async (bench) => {
      await bench.close();
    });

    const { stall } = subject;
    if (stall !== undefined)
      test('closes while a batch is unconfirmed, and leaves no promise pending', async (bench) => {
        await stall(bench.destination);
        const forced = new AbortController();
        const sending = settled(bench.send([1], forced.signal));
        const answer = await Promise.race([sending, pause(200).then(() => undefined)]);
        forced.abort(new Error('the time is up'));
        await bench.close();
        await bench.soon(sending, 'the answer of send');
        if (answer !== undefined && 'value' in answer && answer.value.kind === 'sent') {
          const last = await bench.soon(settled(answer.value.confirmed), 'the last verdict');
          assert.ok(!('value' in last) || last.value.kind !== 'accepted', 'an unanswered batch was accepted');
        }
      });
  });

  section('the forced signal', (test) => {
    test('sends nothing if it is aborted already, and rejects with its reason', async (bench) => {
      const reason = new Error('forced');
      const outcome = await settled(bench.send([1], AbortSignal.abort(reason)));
      assert.deepEqual(outcome, { reason });
      await bench.deliver([2]);
      await bench.until(() => bench.ids().includes(2), 'the next event');
      assert.deepEqual(bench.ids(), [2]);
    });

    const { stall, recover } = subject;
    if (stall !== undefined && recover !== undefined)
      test('ends a send that the destination does not answer, with its reason', async (bench) => {
        await stall(bench.destination);
        const forced = new AbortController();
        const sending = settled(bench.send([1], forced.signal));
        const early = await Promise.race([sending, pause(200).then(() => undefined)]);
        const reason = new Error('forced');
        forced.abort(reason);
        const outcome = await bench.soon(sending, 'the answer of send');
        if (early === undefined) assert.deepEqual(outcome, { reason });
        await recover(bench.destination);
        await bench.deliver([2]);
        await bench.until(() => bench.ids().includes(2), 'the next event');
      });
  });

  section('status records', (test) => {
    test('keeps a status record apart from the audit records around it', async (bench) => {
      await bench.deliver([1]);
      // A status record may be sent while a batch is under way.
      const answers = await Promise.all([bench.send([2]), bench.sink.sendStatus(statusRecord, bench.never)]);
      for (const answer of answers) assert.deepEqual(await bench.confirmed(answer), { kind: 'accepted' });
      await bench.deliver([3]);
      await bench.until(() => bench.arrivals().some(({ isStatus }) => isStatus), 'the status record');
      await bench.until(() => bench.ids().length === 3, 'every audit record');
      for (const { text, isStatus } of bench.arrivals()) {
        assert.equal(text.includes(statusRecord.event), isStatus, text);
        assert.equal(text.includes(action), !isStatus, text);
      }
    });
  });

  section('secrets', (test) => {
    const { fail, refuse, stall, recover, secrets = [] } = subject;
    if (secrets.length > 0)
      test('appear in no verdict and in no event, whatever the destination does', async (bench) => {
        for (const provoke of [fail, refuse, stall]) {
          if (provoke === undefined) continue;
          await provoke(bench.destination);
          const forced = AbortSignal.timeout(500);
          const sending = bench.send([1], forced).then((answer) => bench.confirmed(answer, forced));
          await bench.soon(settled(sending), 'the answer of send');
          const probing = bench.sink.probe(forced).then((verdict) => bench.checked(verdict, 1));
          await bench.soon(settled(probing), 'the answer of probe');
          await recover?.(bench.destination);
        }
      });
  });
}

/** A destination, a sink that delivers to it, and what both reported. */
class TestBench<Destination extends AsyncDisposable> implements AsyncDisposable {
  readonly never = new AbortController().signal;
  readonly destination: Destination;
  readonly #subject: SinkUnderTest<Destination>;
  readonly #waitMs: number;
  /** Everything the sink said, as JSON. */
  readonly #said: string[] = [];
  #sink: Sink | undefined;

  static async open<D extends AsyncDisposable>(subject: SinkUnderTest<D>): Promise<TestBench<D>> {
    const bench = new TestBench(subject, await subject.start());
    await bench.reopen(undefined);
    return bench;
  }

  private constructor(subject: SinkUnderTest<Destination>, destination: Destination) {
    this.#subject = subject;
    this.#waitMs = subject.waitMs ?? DEFAULT_WAIT_MS;
    this.destination = destination;
  }

  get sink(): Sink {
    if (this.#sink === undefined) throw new Error('the sink is closed');
    return this.#sink;
  }

  /** Closes the sink and opens it as a restarted process does. */
  async reopen(pendingAcks: unknown): Promise<void> {
    await this.close();
    const deps: SinkDeps = {
      name: 'conformance',
      tenant: context.tenant,
      version: context.version,
      format: jsonFormat(context),
      emit: (event: TelemetryEvent) => this.#note(event),
      now: Date.now,
      random: Math.random,
      env: {},
      ...(pendingAcks !== undefined && { pendingAcks }),
    };
    this.#sink = await this.#subject.open(this.destination, deps);
  }

  async close(): Promise<void> {
    const closing = this.#sink?.[Symbol.asyncDispose]();
    if (closing !== undefined) await this.soon(Promise.resolve(closing), 'the end of the sink');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subject.recover?.(this.destination);
    await this.close();
    await this.destination[Symbol.asyncDispose]();
  }

  arrivals(): readonly Arrival[] {
    return this.#subject.arrivals(this.destination);
  }
  records(): readonly Arrival[] {
    return this.arrivals().filter(({ isStatus }) => !isStatus);
  }
  /** Ids of the audit records that arrived. */
  ids(): number[] {
    return this.records().map(({ text }) => idOf(text));
  }
  async arrived(count: number): Promise<void> {
    await this.until(() => this.ids().length >= count, `${count} records`);
    assert.equal(this.ids().length, count, `more records arrived than were sent: ${this.ids()}`);
  }

  /** Sends one batch: the first of `ids`, as many as the sink allows. */
  async send(ids: readonly number[], forced = this.never): Promise<Verdict | Sent> {
    const answer = await this.sink.send(batchOf(ids.slice(0, this.sink.limits.maxEvents)), forced);
    if (answer.kind !== 'sent') this.checked(answer, ids.length);
    else answer.confirmed.then((verdict) => this.checked(verdict, ids.length)).catch(() => {}); // reported by `confirmed`
    return answer;
  }

  /** The last verdict of an answer. */
  async confirmed(answer: Verdict | Sent, forced = this.never): Promise<Verdict> {
    if (answer.kind !== 'sent') return answer;
    answer.confirmed.catch(() => {}); // awaited below, after `finish`
    await this.sink.finish?.(forced);
    return this.soon(answer.confirmed, 'a confirmation');
  }

  /** Delivers as the pipeline does: sends again what is to be retried, alone what is rejected. Returns the rejected ids. */
  async deliver(ids: readonly number[]): Promise<number[]> {
    const { maxEvents } = this.sink.limits;
    if (ids.length > maxEvents) {
      const first = await this.deliver(ids.slice(0, maxEvents));
      return [...first, ...(await this.deliver(ids.slice(maxEvents)))];
    }
    let waiting = [...ids];
    for (let attempt = 0; attempt < attempts && waiting.length > 0; attempt++) {
      const verdict = await this.confirmed(await this.send(waiting));
      if (verdict.kind === 'accepted') return [];
      const done = new Set([...range(0, (verdict.acceptedPrefix ?? 0) - 1), ...(verdict.acceptedIndexes ?? [])]);
      waiting = waiting.filter((_, index) => !done.has(index));
      if (verdict.kind === 'reject') {
        if (ids.length === 1) return [...ids];
        const rejected: number[] = [];
        for (const id of waiting) rejected.push(...(await this.deliver([id])));
        return rejected;
      }
      await pause(attemptPauseMs);
    }
    assert.deepEqual(waiting, [], 'these events were never delivered');
    return [];
  }

  /** The verdict, if it belongs to the union. */
  checked(verdict: Verdict, size: number): Verdict {
    this.#note(verdict);
    assert.ok(['accepted', 'retry', 'stop', 'reject'].includes(verdict.kind), `unknown verdict ${verdict.kind}`);
    if (verdict.kind === 'accepted') return verdict;
    assert.ok(reasons.includes(verdict.reason), `unknown reason ${verdict.reason}`);
    assert.match(verdict.detail, /^[^\p{Cc}\u2028\u2029]+$/u, 'a detail is one printable line');
    const { acceptedPrefix = 0, acceptedIndexes = [] } = verdict;
    assert.ok(acceptedPrefix >= 0 && acceptedPrefix <= size, `acceptedPrefix is ${acceptedPrefix} of ${size}`);
    for (const index of acceptedIndexes)
      assert.ok(index >= 0 && index < size, `acceptedIndexes has ${index} of ${size}`);
    if (verdict.kind === 'reject' && verdict.failedIndex !== undefined)
      assert.ok(verdict.failedIndex >= 0 && verdict.failedIndex < size, `failedIndex is ${verdict.failedIndex}`);
    return verdict;
  }

  assertNoSecrets(): void {
    for (const secret of this.#subject.secrets ?? [])
      for (const text of this.#said) assert.ok(!text.includes(secret), `a secret was shown: ${text}`);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const end = performance.now() + this.#waitMs;
    while (!condition()) {
      assert.ok(performance.now() < end, `still missing after ${this.#waitMs} ms: ${what}; arrived: ${this.ids()}`);
      await pause(attemptPauseMs);
    }
  }

  /** The outcome of a promise that must not stay pending. */
  async soon<T>(promise: Promise<T>, what: string): Promise<T> {
    const late = Promise.withResolvers<never>();
    const onLate = () => late.reject(new Error(`still pending after ${this.#waitMs} ms: ${what}`));
    const timer = setTimeout(onLate, this.#waitMs);
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #note(said: object): void {
    this.#said.push(JSON.stringify(said, bigintsAsText));
  }
}

const context = { tenant: 'acme.eu1.qasphere.com', version: '0.0.0' };
const action = 'conformance.test';
const statusRecord: StatusRecord = {
  event: 'forwarder.heartbeat',
  atMs: Date.UTC(2026, 0, 1),
  members: { sequence: 1 },
};

/** The text of the event with this id; it holds what a sink may stumble over. */
const textOf = (id: number) =>
  `{"id":${id},"user":{"id":1,"name":"Zoë \\"Z\\" O’Neil","email":"zoe@example.com"},"action":"${action}","ip":"192.0.2.1","userAgent":"a=b|c\\\\d <14>","createdAt":"2026-01-01T00:00:00.${String(id).padStart(3, '0')}Z","meta":{"n":12345678901234567890.10}}`;

const idOf = (text: string) => Number(/"id":(\d+),"user"/.exec(text)?.[1]);

function batchOf(ids: readonly number[]): Batch {
  return {
    records: ids.map((id): Encoded => {
      const text = Buffer.from(textOf(id));
      const event = auditEvent({ id: BigInt(id), text, receivedAtMs: Date.now() });
      return { event, redacted: event, record: text };
    }),
  };
}

/** From `first` to `last`, both included. */
const range = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const settled = <T>(promise: Promise<T>): Promise<{ readonly value: T } | { readonly reason: unknown }> =>
  promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
