// Above 250 lines: one state machine, described here.
import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import { type IdRange, IdRanges, idsOf } from '../event/id-ranges.ts';
import { Interval, type SealFacts } from '../evidence/interval.ts';
import { type SigningKey, verifyingKey } from '../evidence/keys.ts';
import { type Hash, hashFromHex, hexOf, leafHash } from '../evidence/merkle.ts';
import {
  lineHash,
  parseRanges,
  parseSeal,
  printRanges,
  type Seal,
  type SealedOperation,
  signSeal,
} from '../evidence/seal.ts';
import type { UnsealedRun } from '../evidence/unsealed.ts';
import type { Moment } from '../lib/moment.ts';
import { type Checkpoint, CheckpointProblem, type OperationsPage, type SealStore } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { UnsealedEvents } from './unsealed-events.ts';

export interface SealingOptions {
  readonly store: SealStore;
  /** Longest interval of one seal, milliseconds. */
  readonly everyMs: number;
  readonly facts: Omit<SealFacts, 'proof'>;
  /** What an acceptance by the sink means, as far as it is known now. */
  readonly proof: () => SealFacts['proof'];
  readonly key?: SigningKey | undefined;
  /** The key that signed the chain so far, if it is another one. */
  readonly previousKey?: SigningKey | undefined;
  /** The operations log from a position on. */
  readonly operations: (from: number) => Promise<OperationsPage>;
}

interface SealerOptions extends SealingOptions {
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly recordOf: (encoded: Encoded) => Uint8Array;
  /** The most events that are on the wire at once, as far as the sink knows by now. */
  readonly mostInFlight: () => number;
}

/** The member `seal` of a checkpoint. */
interface StoredSealer {
  readonly interval: unknown;
  /** The checkpoint's `after` with which it was saved. */
  readonly savedAfter: string;
  /** Position in the operations log up to which operations are sealed. */
  readonly operations: number;
  /** Of this interval, found before it began. */
  readonly found?: readonly SealedOperation[];
  /** Dead letters that appeared behind the end of a seal: id, hash in hex, time. */
  readonly late?: readonly (readonly [id: string, source: string, createdAtMs: number | null])[];
  /** The process stopped in good order: `unsealed` has everything that may be delivered twice. */
  readonly isClean: boolean;
  /** QA Sphere's clock minus the local one, milliseconds. */
  readonly aheadMs: number | null;
  /** The newest seal that each sink has, by name. */
  readonly sentTo?: Readonly<Record<string, number>>;
}

/** A seal in the store. */
export interface StoredSeal {
  readonly seal: Seal;
  /** Without a line end. */
  readonly line: string;
}

/** The interval's state in a checkpoint stays below 4 KiB: a longer one is sealed early, bytes. */
const longestState = 3_600;
/** How many seals are held for those who send them; older ones are read from the store. */
const mostRecent = 100;

/**
 * Seals of one pipeline: a chain of statements about what was delivered, each over the ids that the checkpoint's `after`
 * passed since the one before.
 *
 * Each event goes through these states:
 *
 *     (new) ──▶ sent ──▶ delivered ──┐
 *       ├─────▶ filtered ────────────┼─▶ in the interval (a leaf of its trees) ──▶ sealed
 *       └─────▶ dead-lettered ───────┘
 *
 * An event enters the interval when `after` passes it, in ascending order: nothing can appear before it any more.
 *
 * Order of writes, so that a death at any point breaks no chain:
 *
 * 1. A confirmed batch is saved: first the hashes of events above `after` (`unsealed`), then the checkpoint with the interval.
 * 2. When an interval ends, nothing is unsaved. Its seal is appended to the store, then the checkpoint with the next interval
 *    is saved. A start that finds a seal of its interval in the store died between the two, and continues after that seal.
 *
 * A seal ends an interval: at each start, stop and change of the configuration, after `everyMs`, at operations, at a change of
 * the key, and when the interval's state would become too large for the checkpoint.
 *
 * What may have been delivered twice is announced (`resent`): what is sent again by this process, and after the death of a
 * process the first events up to what it could have on the wire. After a stop in good order `unsealed` names them exactly.
 *
 * If the checkpoint is not where the interval ended, a person moved it: the old interval is sealed, and the next one begins
 * at the new position. A chain without stored state begins at the greatest id that was delivered before.
 */
export class Sealer {
  readonly #options: SealerOptions;
  #events: UnsealedEvents;
  #interval: Interval;
  /** Signs the seal of this interval. */
  #signer: SigningKey | undefined;
  #operationsEnd: number;
  /** Of this interval, found before it began. */
  #operations: readonly SealedOperation[] = [];
  readonly #sentTo: Map<string, number>;
  readonly #recent: StoredSeal[] = [];
  /** Dead-lettered behind the end of a seal, which another one amends. */
  #late: UnsealedRun[] = [];
  #isClean = false;
  #isRequested = true;
  /** As of the last save. */
  #savedAfter: Cursor | undefined;
  #savedBytes = 0;
  /** QA Sphere's clock minus the monotonic one, milliseconds. */
  #offsetMs: number | undefined;
  #aheadMs: number | undefined;

  /**
   * Continues the chain in the store. `done`: the ids above `after` that the checkpoint counts as done.
   * @throws {CheckpointProblem} if the key does not fit the chain @throws the storage's error
   */
  static async open(
    options: SealerOptions,
    last: Checkpoint | undefined,
    { after, done }: { readonly after: Cursor; readonly done: readonly IdRange[] },
  ): Promise<Sealer> {
    const stored = last?.seal as StoredSealer | undefined;
    const newest = await newestSeal(options.store);
    const doneIds = IdRanges.of(done);
    const head = doneIds.last ?? after;
    const { interval, isFrom } = startOf(stored, newest, { head, key: options.key?.id ?? null });
    const signer = signerOf(interval.key, options);
    const operations =
      stored === undefined
        ? await operationsSince(newest, options)
        : { end: stored.operations, found: stored.found ?? [] };
    const sealer = new Sealer(options, interval, signer, { operations, stored });
    const isMoved =
      isFrom === 'stored' ? stored?.savedAfter !== String(after) : isFrom === 'seal' && interval.after !== after;
    if (isMoved) await sealer.#move(stored === undefined ? head : after);
    await sealer.#events.load(doneIds);
    if (stored !== undefined && !stored.isClean) sealer.#events.doubt();
    return sealer;
  }

  private constructor(
    options: SealerOptions,
    interval: Interval,
    signer: SigningKey | undefined,
    {
      operations,
      stored,
    }: {
      readonly operations: { readonly end: number; readonly found: readonly SealedOperation[] };
      readonly stored: StoredSealer | undefined;
    },
  ) {
    this.#options = options;
    this.#interval = interval;
    this.#signer = signer;
    this.#operationsEnd = operations.end;
    this.#operations = operations.found;
    this.#sentTo = new Map(Object.entries(stored?.sentTo ?? {}));
    this.#late = (stored?.late ?? []).map(([id, source, time]) =>
      lateRun(BigInt(id), hashFromHex(source), time ?? undefined),
    );
    this.#aheadMs = stored?.aheadMs ?? undefined;
    this.#events = new UnsealedEvents({ ...options, after: interval.after });
  }

  /** Those of the done ids whose hashes are known or not needed; the others are delivered again, and announced. */
  known(done: readonly IdRange[]): readonly IdRange[] {
    const ids = IdRanges.of(done);
    const missing = idsOf(done).filter((id) => id > this.#interval.after && !this.#events.has(id));
    ids.deleteAll(missing);
    this.#events.expectAgain(missing);
    return ids.toArray();
  }

  /** A page was answered: the time by QA Sphere's clock. */
  observe({ monotonicMs, serverMs }: Moment): void {
    const localMs = this.#options.now() - (performance.now() - monotonicMs);
    this.#offsetMs = (serverMs ?? localMs) - monotonicMs;
    this.#aheadMs = serverMs === undefined ? 0 : serverMs - localMs;
    this.#interval.fromAtMs ??= this.#nowMs();
  }

  /** These records are about to be sent. */
  sent(records: readonly Encoded[]): void {
    this.#events.sent(records);
  }

  /** The destination has none of these for certain. */
  refused(records: readonly Encoded[]): void {
    this.#events.refused(records);
  }

  /** @returns those whose hashes are not known: they are delivered again */
  delivered(ids: readonly Cursor[]): readonly Cursor[] {
    return this.#events.delivered(ids);
  }

  filtered(events: readonly AuditEvent[]): void {
    this.#events.filtered(events);
  }

  deadLettered(event: AuditEvent): void {
    if (event.id > this.#interval.after) {
      this.#events.deadLettered(event);
      return;
    }
    this.#late.push(lateRun(event.id, leafHash(event.id, event.text), event.createdAtMs));
    this.request();
  }

  /** A later process may learn what becomes of these records, or (`undefined`) of all that are on the wire. */
  storeSent(records?: readonly Encoded[]): void {
    this.#events.storeSent(records);
  }

  /**
   * What to save with a checkpoint at `after`, as of this call; resolves when what it depends on is stored.
   * @throws the storage's error
   */
  async snapshot(after: Cursor): Promise<unknown> {
    for (const run of this.#events.takeUpTo(after)) this.#interval.add(run);
    this.#interval.advance(after);
    const snapshot: StoredSealer = {
      interval: this.#interval.toJson(),
      savedAfter: String(after),
      operations: this.#operationsEnd,
      ...(this.#operations.length > 0 && { found: this.#operations }),
      ...(this.#late.length > 0 && { late: this.#late.map(storedLate) }),
      isClean: this.#isClean,
      aheadMs: this.#aheadMs ?? null,
      ...(this.#sentTo.size > 0 && { sentTo: Object.fromEntries(this.#sentTo) }),
    };
    this.#savedBytes = JSON.stringify(snapshot).length;
    await this.#events.save();
    return snapshot;
  }

  /** A checkpoint at `after` with the last snapshot is saved. */
  saved(after: Cursor): void {
    this.#savedAfter = after;
  }

  /** The interval is to be sealed as soon as everything is saved. */
  request(): void {
    this.#isRequested = true;
  }

  /** How long the interval may still go on, milliseconds; call it while nothing is unsaved. */
  get dueInMs(): number {
    const { everyMs } = this.#options;
    const { fromAtMs, fromAfter } = this.#interval;
    if (this.#savedAfter === undefined || this.#savedAfter < fromAfter) return everyMs;
    if (this.#isRequested || this.#savedBytes > longestState) return 0;
    return fromAtMs === undefined ? everyMs : Math.min(everyMs, Math.max(0, fromAtMs + everyMs - this.#nowMs()));
  }

  /** The process stops in good order. What is on the wire counts as sent. */
  stop(): void {
    this.storeSent();
    this.#isClean = true;
    this.request();
  }

  /** Looks for operations of a person on this sink, which end the interval. @throws the storage's error */
  async lookForOperations(): Promise<void> {
    const { entries } = await this.#options.operations(this.#operationsEnd);
    if (operationsIn(entries, this.#options.facts.sink).length > 0) this.request();
  }

  /** Seals the interval; call it while nothing is unsaved, and save afterwards. @throws the storage's error */
  async seal(): Promise<void> {
    const { facts, operations } = this.#options;
    const page = await operations(this.#operationsEnd);
    await this.#end([...this.#operations, ...operationsIn(page.entries, facts.sink)]);
    this.#operationsEnd = page.end;
    this.#operations = [];
    await this.#amend();
    this.#isRequested = false;
  }

  /** Seals the interval in progress; if the key changed, the seal hands over to the new one. @throws the storage's error */
  async #end(operations: readonly SealedOperation[]): Promise<void> {
    const { key } = this.#options;
    const isKeyChange = key !== undefined && key.id !== this.#signer?.id;
    await this.#append(this.#interval, { operations, ...(isKeyChange && { nextKey: key.publicDer }) });
    this.#signer = key;
  }

  /** Seals an interval; the next one follows it. @throws the storage's error */
  async #append(
    interval: Interval,
    more: { readonly operations?: readonly SealedOperation[]; readonly nextKey?: string; readonly amends?: number },
  ): Promise<void> {
    const { store, facts, proof, key, emit, everyMs } = this.#options;
    const { operations = [], ...rest } = more;
    const unsigned = { ...interval.seal(this.#nowMs(), { ...facts, proof: proof() }, operations), ...rest };
    const sealed = signSeal(unsigned, this.#signer);
    const { line } = sealed;
    const atMs = Date.parse(unsigned.to.at);
    await store.append(line, atMs);
    this.#interval = Interval.following(unsigned, line, { key: key?.id ?? null });
    this.#recent.push(sealed);
    this.#recent.splice(0, this.#recent.length - mostRecent);
    const { tenant, sink, seq, tree } = unsigned;
    const newest = { seq, sha256: lineHash(line), treeSize: tree.size, atMs, everyMs };
    emit({ event: 'evidence.sealed', tenant, sink, ...newest });
  }

  /** One more seal for each that late events belong to. Nothing is in the interval that it replaces. */
  async #amend(): Promise<void> {
    if (this.#late.length === 0) return;
    const bySeal = new Map<number, UnsealedRun[]>();
    for await (const line of this.#options.store.lines()) {
      const parsed = parseSeal(line);
      if (parsed.kind !== 'seal') continue;
      const { seq, from, to, amends, deadLettered } = parsed.seal;
      if (amends !== undefined) {
        // Written before a death, and not known to the checkpoint.
        const amended = IdRanges.of(parseRanges(deadLettered.ids) ?? []);
        this.#late = this.#late.filter(({ ids: [id = 0n] }) => !amended.has(id));
        continue;
      }
      const own = this.#late.filter(({ ids: [id = 0n] }) => BigInt(from.after) < id && id <= BigInt(to.after));
      // After a cursor was moved back two seals may cover an id: the newer one is amended.
      for (const [before, runs] of bySeal)
        bySeal.set(
          before,
          runs.filter((run) => !own.includes(run)),
        );
      if (own.length > 0) bySeal.set(seq, own);
    }
    for (const [amends, runs] of bySeal) {
      const last = this.#recent.at(-1);
      const open = runs.filter((run) => this.#late.includes(run));
      if (open.length === 0 || last === undefined) continue;
      // Not the interval in progress: after a failure that must be as it was.
      const interval = Interval.following(last.seal, last.line, { key: this.#signer?.id ?? null });
      for (const run of open.toSorted(({ ids: [a = 0n] }, { ids: [b = 0n] }) => (a < b ? -1 : 1))) interval.add(run);
      await this.#append(interval, { amends });
      this.#late = this.#late.filter((run) => !open.includes(run));
    }
    // Those of no seal appeared before the chain began.
    this.#late = [];
  }

  /** The newest seal that `target` has. */
  sentTo(target: string): number {
    return this.#sentTo.get(target) ?? 0;
  }

  /** `target` has accepted this seal; saved with the next checkpoint. */
  recordSent(target: string, seq: number): void {
    this.#sentTo.set(target, seq);
  }

  /** Seals after `seq`, oldest first. @throws the storage's error */
  async *sealsAfter(seq: number): AsyncGenerator<StoredSeal> {
    if (seq + 1 >= this.#interval.seq) return;
    const [oldest] = this.#recent;
    if (oldest !== undefined && oldest.seal.seq <= seq + 1) {
      yield* this.#recent.filter(({ seal }) => seal.seq > seq);
      return;
    }
    for await (const line of this.#options.store.lines()) {
      const parsed = parseSeal(line);
      if (parsed.kind === 'seal' && parsed.seal.seq > seq) yield parsed;
    }
  }

  /** The cursor was moved: seals what was delivered before, and begins an interval at `after`. */
  async #move(after: Cursor): Promise<void> {
    const { store, facts, operations } = this.#options;
    const was = this.#interval.after;
    const { entries } = await operations(this.#operationsEnd);
    const logged = [...this.#operations, ...operationsIn(entries, facts.sink)];
    // The seal after this one names what moved the cursor.
    if (!this.#interval.isEmpty) await this.#end([]);
    const newest = await newestSeal(store);
    const next = { key: this.#signer?.id ?? null, after };
    this.#interval = newest ? Interval.following(newest.seal, newest.line, next) : Interval.first(after, next.key);
    this.#events = new UnsealedEvents({ ...this.#options, after });
    // A checkpoint that was restored from a copy, for example: what is delivered again is announced all the same.
    const isNamed = logged.some(({ op }) => op === 'cursor-set' || op === 'recover');
    if (after < was && !isNamed) this.#operations = [...this.#operations, cursorSet(was, after, was)];
    this.request();
  }

  /** By QA Sphere's clock, milliseconds since the epoch. */
  #nowMs(): number {
    if (this.#offsetMs !== undefined) return Math.round(performance.now() + this.#offsetMs);
    return Math.round(this.#options.now() + (this.#aheadMs ?? 0));
  }
}

/** What the checkpoint holds that `evidence recover` makes. `operationsEnd`: position in the operations log. */
export function recoveredSeal(interval: Interval, operation: SealedOperation, operationsEnd: number): unknown {
  const stored: StoredSealer = {
    ...{ interval: interval.toJson(), savedAfter: String(interval.after), operations: operationsEnd },
    ...{ found: [operation], isClean: false, aheadMs: null },
  };
  return stored;
}

/** Where the next interval begins: in the checkpoint, after a newer seal, or a new chain. */
function startOf(
  stored: StoredSealer | undefined,
  newest: StoredSeal | undefined,
  { head, key }: { readonly head: Cursor; readonly key: string | null },
): { readonly interval: Interval; readonly isFrom: 'stored' | 'seal' | 'nothing' } {
  const interval = stored && Interval.fromJson(stored.interval);
  if (newest !== undefined && (interval === undefined || newest.seal.seq >= interval.seq)) {
    const { nextKey } = newest.seal;
    const signs = nextKey === undefined ? newest.seal.key : verifyingKey(nextKey).id;
    return { interval: Interval.following(newest.seal, newest.line, { key: signs }), isFrom: 'seal' };
  }
  if (interval !== undefined) return { interval, isFrom: 'stored' };
  return { interval: Interval.first(head, key), isFrom: 'nothing' };
}

/** What a person did since the newest seal: without stored state the log is read from its beginning. */
async function operationsSince(
  newest: StoredSeal | undefined,
  { operations, facts }: SealingOptions,
): Promise<{ readonly end: number; readonly found: readonly SealedOperation[] }> {
  const { entries, end } = await operations(0);
  if (newest === undefined) return { end, found: [] };
  const sinceMs = Date.parse(newest.seal.to.at);
  const later = entries.filter(({ at }) => typeof at === 'string' && Date.parse(at) >= sinceMs);
  return { end, found: operationsIn(later, facts.sink) };
}

/** The key that signs the next seal of a chain. @throws {CheckpointProblem} if it is not given */
function signerOf(chain: string | null, { key, previousKey, facts }: SealingOptions): SigningKey | undefined {
  if (chain === null) return undefined;
  const signer = [key, previousKey].find((given) => given?.id === chain);
  if (signer !== undefined && key !== undefined) return signer;
  const found = key === undefined ? 'evidence.keyFile is missing' : `evidence.keyFile holds key ${key.id}`;
  throw new CheckpointProblem(
    `the seals of sink ${facts.sink} are signed with key ${chain}, and ${found}: name the file of the old key in evidence.previousKeyFile, and a seal hands over to the new one`,
  );
}

/** @throws {CheckpointProblem} if the newest line of the store is no seal */
async function newestSeal(store: SealStore): Promise<StoredSeal | undefined> {
  const line = await store.newest();
  if (line === undefined) return undefined;
  const parsed = parseSeal(line);
  if (parsed.kind === 'seal') return parsed;
  throw new CheckpointProblem(
    `the newest seal in ${store.location} can't be used (${parsed.detail}): restore it from a copy, or move the directory away to begin a new chain`,
  );
}

const lateRun = (id: Cursor, source: Hash, createdAtMs: number | undefined): UnsealedRun => ({
  ...{
    ids: [id],
    status: 'deadLettered',
    sources: [source],
    records: undefined,
    times: [createdAtMs],
    resent: undefined,
  },
});

const storedLate = ({ ids: [id], sources: [source = ''], times: [time] }: UnsealedRun) =>
  [String(id), hexOf(source), time ?? null] as const;

/** What a person did to a sink, in an excerpt of the operations log. */
function operationsIn(entries: OperationsPage['entries'], sink: string): SealedOperation[] {
  return entries.flatMap((entry): SealedOperation[] => {
    const { operation, at, from, to, outcome } = entry;
    if (entry['sink'] !== sink || outcome === 'failed') return [];
    const time = typeof at === 'string' ? { at } : {};
    if (operation === 'replay' && outcome === 'started') {
      const [first, last] = [idIn(from), idIn(to)];
      return first === undefined || last === undefined ? [] : [{ op: 'replay', ids: range(first + 1n, last), ...time }];
    }
    if (operation !== 'cursor set' && operation !== 'cursor reset') return [];
    const [was, head] = [idIn(memberOf(from, 'after') ?? memberOf(from, 'id')), idIn(memberOf(from, 'id'))];
    const now = idIn(memberOf(to, 'id')) ?? 0n;
    return was === undefined ? [] : [{ ...cursorSet(was, now, head ?? was), ...time }];
  });
}

/** `head`: the greatest id that was delivered; what is behind the new position up to there is delivered again. */
function cursorSet(from: Cursor, to: Cursor, head: Cursor): SealedOperation {
  return { op: 'cursor-set', from: String(from), to: String(to), ...(to < head && { ids: range(to + 1n, head) }) };
}

const range = (from: Cursor, to: Cursor) => printRanges([[from, to]]);

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

function idIn(value: unknown): Cursor | undefined {
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}
