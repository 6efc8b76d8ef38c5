// Above 250 lines: an interval, and its form in the checkpoint.
import type { Cursor } from '../event/event.ts';
import { IdRanges } from '../event/id-ranges.ts';
import { type Hash, hashFromHex, hexOf, MerkleTree } from './merkle.ts';
import {
  type Counted,
  type Edge,
  lineHash,
  noSeal,
  parseCompact,
  printCompact,
  printRanges,
  type Resent,
  type Seal,
  type SealedOperation,
  type UnsignedSeal,
} from './seal.ts';
import { base64, hashes, type UnsealedRun } from './unsealed.ts';

/** What is the same for every seal of a pipeline. */
export interface SealFacts {
  readonly tenant: string;
  readonly sink: string;
  readonly software: { readonly name: string; readonly version: string };
  readonly config: string;
  readonly proof: string;
  readonly epoch: number;
}

/** A tree as JSON: size, and its frontier in base64. */
type StoredTree = readonly [size: number, frontier: string];
type StoredEvent = readonly [id: string, createdAtMs: number | null];

/** An interval as JSON, for the checkpoint; ids as `printCompact` prints them. */
interface StoredInterval {
  readonly seq: number;
  readonly prev: string;
  readonly key: string | null;
  readonly from: readonly [after: string, atMs: number | null];
  readonly after: string;
  readonly tree: StoredTree;
  /** Absent while it is the same as `tree`. */
  readonly source?: StoredTree;
  /** Absent while it is the same as `source`. */
  readonly records?: StoredTree;
  readonly delivered?: string;
  readonly filtered?: string;
  readonly deadLettered?: string;
  readonly first?: StoredEvent;
  readonly last?: StoredEvent;
  readonly resent?: readonly Resent[];
  readonly recovered?: true;
}

/** The interval that the next seal of a chain will cover, as far as it is known. */
export class Interval {
  readonly seq: number;
  readonly prev: string;
  /** Id of the key that signs the seal; null: none. */
  readonly key: string | null;
  readonly fromAfter: Cursor;
  /** Undefined until QA Sphere's time is known. */
  fromAtMs: number | undefined;
  readonly isRecovered: boolean;
  #after: Cursor;
  readonly #tree: MerkleTree;
  /** Over the events of this interval: the same tree in an interval with which the chain's tree begins. */
  #source: MerkleTree;
  /** Undefined while it would be the same as `#source`. */
  #records: MerkleTree | undefined;
  #delivered = new IdRanges();
  #filtered = new IdRanges();
  #deadLettered = new IdRanges();
  #first: StoredEvent | undefined;
  #last: StoredEvent | undefined;
  readonly #resent = new Map<string, IdRanges>();

  private constructor(start: {
    readonly seq: number;
    readonly prev: string;
    readonly key: string | null;
    readonly fromAfter: Cursor;
    readonly fromAtMs: number | undefined;
    readonly tree: MerkleTree;
    readonly isRecovered?: boolean;
  }) {
    this.seq = start.seq;
    this.prev = start.prev;
    this.key = start.key;
    this.fromAfter = start.fromAfter;
    this.fromAtMs = start.fromAtMs;
    this.#after = start.fromAfter;
    this.#tree = start.tree;
    this.#source = start.tree.size === 0 ? start.tree : new MerkleTree();
    this.isRecovered = start.isRecovered ?? false;
  }

  /** The first interval of a chain. */
  static first(after: Cursor, key: string | null): Interval {
    const tree = new MerkleTree();
    return new Interval({ seq: 1, prev: noSeal, key, fromAfter: after, fromAtMs: undefined, tree });
  }

  /** The interval after a seal, from its end or from `after`. `key` signs it. */
  static following(
    { seq, to, tree }: Seal | UnsignedSeal,
    line: string,
    { key, after = BigInt(to.after), isRecovered }: { key: string | null; after?: Cursor; isRecovered?: boolean },
  ): Interval {
    return new Interval({
      ...{ seq: seq + 1, prev: lineHash(line), key, fromAfter: after, fromAtMs: Date.parse(to.at) },
      tree: MerkleTree.of(tree.size, tree.frontier.map(hashFromHex)),
      ...(isRecovered !== undefined && { isRecovered }),
    });
  }

  /** Everything up to this id is in the interval or before it. */
  get after(): Cursor {
    return this.#after;
  }

  /** Events of the chain so far. */
  get treeSize(): number {
    return this.#tree.size;
  }

  get isEmpty(): boolean {
    return this.#source.size === 0;
  }

  /** Adds events that are done; call it in ascending order of id. */
  add({ ids, status, sources, records, times, resent }: UnsealedRun): void {
    if (status === 'sent') throw new TypeError('an event is sealed only when it is done');
    const isVerbatim = status === 'delivered' && records === undefined;
    if (!isVerbatim) this.#records ??= MerkleTree.of(this.#source.size, this.#source.frontier);
    for (const source of sources) {
      this.#tree.add(source);
      if (this.#source !== this.#tree) this.#source.add(source);
    }
    if (status === 'delivered' && this.#records !== undefined)
      for (const record of records ?? sources) this.#records.add(record);
    const sealed = { delivered: this.#delivered, filtered: this.#filtered, deadLettered: this.#deadLettered };
    sealed[status].addAll(ids);
    this.#first ??= [String(ids[0]), times[0] ?? null];
    this.#last = [String(ids.at(-1)), times.at(-1) ?? null];
    if (resent !== undefined) this.#rangesOf(resent).addAll(ids);
  }

  /** Nothing can appear up to `after` any more, and all of it was added. */
  advance(after: Cursor): void {
    if (after > this.#after) this.#after = after;
  }

  /** The seal, which ends at `after`. */
  seal(atMs: number, facts: SealFacts, operations: readonly SealedOperation[]): UnsignedSeal {
    const resent = this.#printResent();
    const toAtMs = Math.max(atMs, this.fromAtMs ?? 0);
    return {
      v: 1,
      seq: this.seq,
      ...facts,
      from: edge(this.fromAfter, this.fromAtMs ?? toAtMs),
      to: edge(this.#after, toAtMs),
      delivered: counted(this.#delivered),
      filtered: counted(this.#filtered),
      deadLettered: counted(this.#deadLettered),
      ...(this.#first && { first: sealedEvent(this.#first) }),
      ...(this.#last && { last: sealedEvent(this.#last) }),
      source: hexOf(this.#source.root),
      records: hexOf((this.#records ?? this.#source).root),
      tree: { size: this.#tree.size, root: hexOf(this.#tree.root), frontier: this.#tree.frontier.map(hexOf) },
      ...(resent.length > 0 && { resent }),
      ...(operations.length > 0 && { operations }),
      prev: this.prev,
      ...(this.isRecovered && { recovered: true }),
    };
  }

  toJson(): StoredInterval {
    const ranges = (name: string, ids: IdRanges) =>
      ids.size > 0 ? { [name]: printCompact(ids.toArray(), this.fromAfter) } : {};
    const resent = [...this.#resent].map(([reason, ids]) => ({
      ids: printCompact(ids.toArray(), this.fromAfter),
      reason,
    }));
    return {
      seq: this.seq,
      prev: this.prev,
      key: this.key,
      from: [String(this.fromAfter), this.fromAtMs ?? null],
      after: String(this.#after),
      tree: storedTree(this.#tree),
      ...(this.#source !== this.#tree && { source: storedTree(this.#source) }),
      ...(this.#records && { records: storedTree(this.#records) }),
      ...ranges('delivered', this.#delivered),
      ...ranges('filtered', this.#filtered),
      ...ranges('deadLettered', this.#deadLettered),
      ...(this.#first && { first: this.#first }),
      ...(this.#last && { last: this.#last }),
      ...(resent.length > 0 && { resent }),
      ...(this.isRecovered && { recovered: true }),
    };
  }

  /** Restores what `toJson` returned. @throws {TypeError}, {RangeError} or {SyntaxError} for anything else */
  static fromJson(value: unknown): Interval {
    const stored = value as StoredInterval;
    const [fromAfter, fromAtMs] = stored.from;
    const interval = new Interval({
      ...{ seq: stored.seq, prev: stored.prev, key: stored.key },
      ...{ fromAfter: BigInt(fromAfter), fromAtMs: fromAtMs ?? undefined, tree: treeOf(stored.tree) },
      isRecovered: stored.recovered === true,
    });
    const ids = (text = '') => IdRanges.of(parseCompact(text, interval.fromAfter));
    interval.#after = BigInt(stored.after);
    interval.#source = stored.source === undefined ? interval.#tree : treeOf(stored.source);
    interval.#records = stored.records && treeOf(stored.records);
    interval.#delivered = ids(stored.delivered);
    interval.#filtered = ids(stored.filtered);
    interval.#deadLettered = ids(stored.deadLettered);
    interval.#first = stored.first;
    interval.#last = stored.last;
    for (const { ids: resent, reason } of stored.resent ?? []) interval.#resent.set(reason, ids(resent));
    return interval;
  }

  #rangesOf(reason: string): IdRanges {
    const ranges = this.#resent.get(reason) ?? new IdRanges();
    this.#resent.set(reason, ranges);
    return ranges;
  }

  #printResent(): Resent[] {
    return [...this.#resent].map(([reason, ids]) => ({ ids: printRanges(ids.toArray()), reason }));
  }
}

const edge = (after: Cursor, atMs: number): Edge => ({ after: String(after), at: new Date(atMs).toISOString() });

const counted = (ids: IdRanges): Counted => ({ count: ids.size, ids: printRanges(ids.toArray()) });

const sealedEvent = ([id, createdAtMs]: StoredEvent) => ({
  id,
  createdAt: createdAtMs === null ? null : new Date(createdAtMs).toISOString(),
});

const storedTree = ({ size, frontier }: { size: number; frontier: readonly Hash[] }): StoredTree => [
  size,
  base64(frontier),
];

const treeOf = ([size, frontier]: StoredTree): MerkleTree => MerkleTree.of(size, hashes(frontier));
