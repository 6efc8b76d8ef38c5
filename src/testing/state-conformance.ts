// Above 250 lines: one suite, one section a capability, to be read from top to bottom by whoever writes a backend.
import assert from 'node:assert/strict';
import { type AuditEvent, auditEvent, type Cursor } from '../event/event.ts';
import {
  type Checkpoint,
  CheckpointProblem,
  type StateBackend,
  StateLocked,
  type StateStore,
  type TenantIdentity,
} from '../state/store.ts';
import type { TestRunner } from './sink-conformance.ts';

/** A kind of backend and the place where it stores, empty at first. */
export interface BackendUnderTest<Place extends AsyncDisposable> {
  readonly name: string;
  start(): Promise<Place>;
  /** Opens a backend on the place; called again for another process. */
  open(place: Place): StateBackend | Promise<StateBackend>;
}

const tenant: TenantIdentity = { name: 'acme', origin: 'https://acme.eu1.qasphere.com' };
const signals = { graceful: new AbortController().signal, forced: new AbortController().signal };
/** Beyond 2^53: a number would lose digits. */
const large = 9007199254740993n;

const checkpointOf = (after: Cursor, more: Partial<Checkpoint> = {}): Checkpoint => ({
  sink: 'splunk',
  source: tenant.origin,
  after,
  delivered: [
    [after + 2n, after + 2n],
    [after + 5n, after + 9n],
  ],
  refusedInRow: 3,
  newest: { id: after + 9n, sha256: 'ab'.repeat(32) },
  pendingAcks: { channel: 'x', open: [1, 2] },
  ...more,
});

const eventOf = (id: Cursor, more = ''): AuditEvent =>
  auditEvent({ id, text: Buffer.from(`{ "id": ${id}, "action": "a"${more} }`), receivedAtMs: 0 });
const letterOf = (id: Cursor, more?: string) => ({ sink: 'splunk', reason: 'malformed: x', event: eventOf(id, more) });

/** One place, and a new process on it as often as a test restarts. */
class Bench<Place extends AsyncDisposable> implements AsyncDisposable {
  readonly #subject: BackendUnderTest<Place>;
  readonly #place: Place;
  readonly #opened: AsyncDisposable[] = [];

  static async start<Place extends AsyncDisposable>(subject: BackendUnderTest<Place>): Promise<Bench<Place>> {
    return new Bench(subject, await subject.start());
  }

  private constructor(subject: BackendUnderTest<Place>, place: Place) {
    this.#subject = subject;
    this.#place = place;
  }

  async backend(): Promise<StateBackend> {
    const backend = await this.#subject.open(this.#place);
    this.#opened.push(backend);
    return backend;
  }

  /** Ends the process before, and owns the state in a new one. */
  async restart(of: TenantIdentity = tenant): Promise<StateStore> {
    await this.#end();
    const store = await (await this.backend()).own(of, signals);
    this.#opened.push(store);
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.#place[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    for (const opened of this.#opened.splice(0).toReversed()) await opened[Symbol.asyncDispose]();
  }
}

/** Registers the tests that every backend must pass, organised by capability. */
export function stateConformance<Place extends AsyncDisposable>(
  { describe, it }: TestRunner,
  subject: BackendUnderTest<Place>,
): void {
  type Test = (title: string, body: (bench: Bench<Place>) => Promise<void>) => void;
  const section = (capability: string, register: (test: Test) => void) => {
    describe(`${subject.name}: ${capability}`, () => {
      register((title, body) =>
        it(title, async () => {
          await using bench = await Bench.start(subject);
          await body(bench);
        }),
      );
    });
  };

  section('seals', (test) => {
    const all = async (store: StateStore, sink = 'splunk') => {
      const lines: string[] = [];
      for await (const line of store.seals(sink).lines()) lines.push(line);
      return lines;
    };
    const [may, june] = [Date.UTC(2026, 4, 31), Date.UTC(2026, 5, 1)];

    test('returns them in the order in which they were added, in every later process', async (bench) => {
      const store = await bench.restart();
      assert.equal(await store.seals('splunk').newest(), undefined);
      await store.seals('splunk').append('{"seq":1}', may);
      await store.seals('splunk').append('{"seq":2}', june);
      const later = await bench.restart();
      // A clock that was set back does not put it before the others.
      await later.seals('splunk').append('{"seq":3}', may);
      assert.deepEqual(await all(later), ['{"seq":1}', '{"seq":2}', '{"seq":3}']);
      assert.equal(await later.seals('splunk').newest(), '{"seq":3}');
      assert.deepEqual(await all(later, 'other'), []);
    });

    test('stores unsealed entries until they are replaced', async (bench) => {
      const store = await bench.restart();
      await store.seals('splunk').addUnsealed(['a', 'b']);
      await store.seals('splunk').addUnsealed([]);
      await store.seals('splunk').addUnsealed(['c']);
      const later = await bench.restart();
      assert.deepEqual(await later.seals('splunk').unsealed(), ['a', 'b', 'c']);
      await later.seals('splunk').replaceUnsealed(['d']);
      await later.seals('splunk').addUnsealed(['e']);
      assert.deepEqual(await (await bench.restart()).seals('splunk').unsealed(), ['d', 'e']);
      assert.deepEqual(await later.seals('other').unsealed(), []);
    });

    test('leaves the seal in progress with its checkpoint, and not with another name', async (bench) => {
      const store = await bench.restart();
      const seal = { interval: { seq: 3 }, isClean: true };
      await store.save(checkpointOf(1n, { seal }));
      const later = await bench.restart();
      assert.deepEqual((await later.load('splunk'))?.seal, seal);
      await later.rename('splunk', 'lake');
      assert.equal((await later.load('lake'))?.seal, undefined);
    });
  });

  section('checkpoints', (test) => {
    test('returns what was saved, in every later process, with all digits of each id', async (bench) => {
      const store = await bench.restart();
      const saved = checkpointOf(large, { startMs: Date.UTC(2026, 0, 1) });
      await store.save(saved);
      assert.deepEqual(await store.load('splunk'), saved);
      assert.deepEqual(await (await bench.restart()).load('splunk'), saved);
    });

    test('returns undefined for a sink that was never saved', async (bench) => {
      const store = await bench.restart();
      await store.save(checkpointOf(1n));
      assert.equal(await store.load('other'), undefined);
    });

    test('returns the last of several saves', async (bench) => {
      const store = await bench.restart();
      for (const after of [1n, 2n, 3n]) await store.save(checkpointOf(after));
      assert.equal((await (await bench.restart()).load('splunk'))?.after, 3n);
    });

    test('refuses a checkpoint of another tenant, and overwrite takes it over', async (bench) => {
      await (await bench.restart()).save(checkpointOf(1n));
      const other = { ...tenant, origin: 'https://other.eu1.qasphere.com' };
      const store = await bench.restart(other);
      await assert.rejects(store.load('splunk'), CheckpointProblem);
      assert.deepEqual(
        (await store.inspect()).map(({ condition }) => condition),
        ['other tenant'],
      );
      await store.overwrite(checkpointOf(7n, { source: other.origin }));
      assert.equal((await (await bench.restart(other)).load('splunk'))?.after, 7n);
    });

    test('forgets a checkpoint that is removed, and no other', async (bench) => {
      const store = await bench.restart();
      await store.save(checkpointOf(1n));
      await store.save(checkpointOf(2n, { sink: 'siem' }));
      await store.remove('splunk');
      const again = await bench.restart();
      assert.equal(await again.load('splunk'), undefined);
      assert.equal((await again.load('siem'))?.after, 2n);
    });

    test('lists every checkpoint, by sink, also to a process that does not own the state', async (bench) => {
      const store = await bench.restart();
      assert.deepEqual(await store.inspect(), []);
      await store.save(checkpointOf(large));
      await store.save(checkpointOf(2n, { sink: 'siem' }));
      const shared = (await bench.backend()).share(tenant);
      for (const state of [store, shared])
        assert.deepEqual(
          (await state.inspect()).map(({ sink, condition, checkpoint }) => [sink, condition, checkpoint?.after]),
          [
            ['siem', 'good', 2n],
            ['splunk', 'good', large],
          ],
        );
    });
  });

  section('renaming', (test) => {
    test('moves checkpoint and dead letters to the new name', async (bench) => {
      const store = await bench.restart();
      await store.save(checkpointOf(5n));
      await store.deadLetters('splunk').append(letterOf(3n));
      await store.deadLetters('splunk', 'replay').append(letterOf(4n));
      const check = await store.checkRename('splunk', 'indexer');
      assert.ok(check.kind === 'possible' && check.deadLetters.length === 2);
      await store.rename('splunk', 'indexer');
      const again = await bench.restart();
      assert.equal(await again.load('splunk'), undefined);
      assert.deepEqual(await again.load('indexer'), checkpointOf(5n, { sink: 'indexer' }));
      assert.deepEqual(await idsIn(again, 'indexer'), [3n]);
      assert.equal(await again.deadLetters('indexer', 'replay').count(), 1);
      assert.equal(await again.deadLetters('splunk').count(), 0);
    });

    test('reports a name that is taken, by a checkpoint or by dead letters, and a checkpoint that is missing', async (bench) => {
      const store = await bench.restart();
      assert.equal((await store.checkRename('splunk', 'indexer')).kind, 'missing');
      await store.save(checkpointOf(5n));
      await store.save(checkpointOf(6n, { sink: 'siem' }));
      await store.deadLetters('splunk').append(letterOf(3n));
      await store.deadLetters('indexer').append(letterOf(3n));
      assert.partialDeepStrictEqual(await store.checkRename('splunk', 'siem'), { kind: 'taken', what: 'checkpoint' });
      assert.partialDeepStrictEqual(await store.checkRename('splunk', 'indexer'), {
        kind: 'taken',
        what: 'dead letters',
      });
    });
  });

  section('dead letters', (test) => {
    test('returns the text of an event byte for byte, with all digits of its id', async (bench) => {
      const more = ', "n": 1.0, "s": "a\u2028b\u2029"';
      await (await bench.restart()).deadLetters('splunk').append(letterOf(large, more));
      const [event] = await entriesOf(await bench.restart(), 'splunk');
      assert.equal(event?.id, large);
      assert.equal(event?.text.toString(), eventOf(large, more).text.toString());
    });

    test('stores an event once, if it comes again after a crash', async (bench) => {
      for (let attempt = 0; attempt < 2; attempt++) {
        const letters = (await bench.restart()).deadLetters('splunk');
        await letters.open(1n);
        await letters.append(letterOf(2n));
      }
      assert.equal(await (await bench.restart()).deadLetters('splunk').count(), 1);
    });

    test('stores an event once, if a pipeline and its successor both append it', async (bench) => {
      const store = await bench.restart();
      await store.deadLetters('splunk').open(1n);
      await store.deadLetters('splunk').append(letterOf(2n));
      await store.deadLetters('splunk').append(letterOf(2n));
      assert.equal(await store.deadLetters('splunk').count(), 1);
    });

    test('stores another event with the same id: another tenant may have it', async (bench) => {
      await (await bench.restart()).deadLetters('splunk').append(letterOf(2n));
      const letters = (await bench.restart()).deadLetters('splunk');
      await letters.open(0n);
      await letters.append(letterOf(2n, ', "of": "another tenant"'));
      assert.equal(await letters.count(), 2);
      assert.partialDeepStrictEqual(await letters.summary({ after: 0n }), { events: 1, replaced: 1 });
      const [event] = await entriesOf(await bench.restart(), 'splunk');
      assert.match(String(event?.text), /another tenant/);
    });

    test('lists the events of a range in order of id, each once', async (bench) => {
      const letters = (await bench.restart()).deadLetters('splunk');
      for (const id of [5n, 2n, large, 9n, 2n, 7n]) await letters.append(letterOf(id));
      assert.deepEqual(await idsIn(await bench.restart(), 'splunk'), [2n, 5n, 7n, 9n, large]);
      const inside: Cursor[] = [];
      for await (const { id } of letters.entries({ after: 2n, until: 7n })) inside.push(id);
      assert.deepEqual(inside, [5n, 7n]);
      assert.partialDeepStrictEqual(await letters.summary({ after: 2n, until: 9n }), {
        events: 3,
        first: 5n,
        last: 9n,
        unreadable: 0,
      });
    });

    test('keeps sinks apart, and what a replay rejected', async (bench) => {
      const store = await bench.restart();
      await store.deadLetters('splunk').append(letterOf(1n));
      await store.deadLetters('splunk', 'replay').append(letterOf(2n));
      assert.deepEqual(await idsIn(store, 'splunk'), [1n]);
      assert.deepEqual(await idsIn(store, 'siem'), []);
      assert.equal(await store.deadLetters('splunk', 'replay').count(), 1);
    });

    test('takes appends of a process that does not own the state, as a replay is', async (bench) => {
      const store = await bench.restart();
      const shared = (await bench.backend()).share(tenant);
      await shared.deadLetters('splunk', 'replay').append(letterOf(2n));
      assert.equal(await store.deadLetters('splunk', 'replay').count(), 1);
    });
  });

  section('operations log', (test) => {
    test('returns records in order, ids with all their digits, and continues from a position', async (bench) => {
      const store = await bench.restart();
      await store.record({ operation: 'cursor set', sink: 'splunk', from: { after: large }, to: { after: 7n } });
      const { entries, end } = await store.operations(0);
      assert.partialDeepStrictEqual(entries, [
        { operation: 'cursor set', sink: 'splunk', from: { after: String(large) }, to: { after: '7' } },
      ]);
      assert.ok(!Number.isNaN(Date.parse(String(entries[0]?.['at']))));
      assert.deepEqual(await store.operations(end), { entries: [], end });
      await (await bench.backend()).share(tenant).record({ event: 'forwarder.started' });
      const later = await (await bench.restart()).operations(end);
      assert.deepEqual(
        later.entries.map(({ event }) => event),
        ['forwarder.started'],
      );
    });
  });

  section('heartbeat', (test) => {
    test('returns what was saved last, in every later process', async (bench) => {
      const store = await bench.restart();
      assert.equal(await store.loadHeartbeat(), undefined);
      await store.saveHeartbeat({ operations: 1, aliveAtMs: 2 });
      await store.saveHeartbeat({ operations: 3, aliveAtMs: Date.UTC(2026, 0, 1) });
      const state = await (await bench.restart()).loadHeartbeat();
      assert.deepEqual(state, { operations: 3, aliveAtMs: Date.UTC(2026, 0, 1) });
    });
  });

  section('ownership', (test) => {
    test('belongs to one process at a time, which is named to others', async (bench) => {
      const backend = await bench.backend();
      assert.equal(await backend.owner(tenant), undefined);
      const store = await backend.own(tenant, signals);
      const other = await bench.backend();
      await assert.rejects(other.own(tenant, signals), StateLocked);
      assert.match(String(await other.owner(tenant)), /process/);
      await store[Symbol.asyncDispose]();
      assert.equal(await other.owner(tenant), undefined);
      await (await other.own(tenant, signals))[Symbol.asyncDispose]();
    });

    test('is examined without being created', async (bench) => {
      const backend = await bench.backend();
      for (const { result, detail } of await backend.examine()) assert.notEqual(result, 'failed', detail);
      assert.deepEqual(await backend.share(tenant).inspect(), []);
      assert.equal(await backend.owner(tenant), undefined);
    });
  });
}

async function entriesOf(store: StateStore, sink: string): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for await (const event of store.deadLetters(sink).entries({ after: 0n })) events.push(event);
  return events;
}

const idsIn = async (store: StateStore, sink: string) => (await entriesOf(store, sink)).map(({ id }) => id);
