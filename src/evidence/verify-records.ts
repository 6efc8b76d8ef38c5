// Above 250 lines: what the records of an export show about the seals of one chain, and the counts of it.
import type { Cursor } from '../event/event.ts';
import { IdRanges } from '../event/id-ranges.ts';
import { announcedIds, type Chain, type Flaw, type FoundSeal, idsOf } from './chain.ts';
import type { ExportedLine } from './exported-line.ts';
import { type Hash, hexOf, LeafHasher, MerkleTree } from './merkle.ts';
import { RecordRows, type SortedRows } from './record-rows.ts';
import { parseRanges, type Seal } from './seal.ts';

export interface RecordCounts {
  /** Ids that the seals have as delivered, and those of them that are among the records. */
  delivered: number;
  present: number;
  changed: number;
  duplicated: number;
  /** Those of `duplicated` that the seals announce. */
  announced: number;
  unknown: number;
  /** Beyond the newest seal. */
  unsealed: number;
  filtered: number;
  deadLettered: number;
}

/** Ids in one part of the verification, at most: it takes about 100 bytes each. */
const partIds = 50_000;
/** Of each kind of finding, so many are listed one by one. */
const mostListed = 20;
/** If copies of records differ, so many combinations are tried to find the ones that were sealed. */
const mostCombinations = 4_096;
/** And so many leaves are hashed for it. */
const mostLeaves = 20_000_000;

/** The ids of several seals whose intervals overlap, which are verified together. */
interface Part {
  readonly after: Cursor;
  readonly upTo: Cursor;
  readonly seals: readonly FoundSeal[];
}

/** Takes the records of an export, in any order, and then compares them with the seals. */
export class RecordVerifier implements Disposable {
  readonly #chain: Chain;
  readonly #parts: readonly Part[];
  readonly #rows: RecordRows;
  readonly #hasher = new LeafHasher();
  readonly #first: Cursor;
  readonly #last: Cursor;
  /** Ids of records beyond the newest seal. */
  #beyond: [Cursor, Cursor] | undefined;
  /** The newest seal that the forwarder's own records name. */
  #newestNamed = 0;
  readonly #counts: RecordCounts;
  readonly #flaws: Flaw[] = [];
  readonly #listed = new Map<string, number>();

  constructor(chain: Chain) {
    this.#chain = chain;
    this.#parts = partsOf(chain.seals);
    this.#rows = new RecordRows(this.#parts.map(({ upTo }) => upTo));
    this.#first = this.#parts[0]?.after ?? 0n;
    this.#last = this.#parts.at(-1)?.upTo ?? 0n;
    const sum = (of: (seal: Seal) => number) => chain.seals.reduce((total, { seal }) => total + of(seal), 0);
    this.#counts = {
      ...{ delivered: 0, present: 0, changed: 0, duplicated: 0, announced: 0, unknown: 0, unsealed: 0 },
      filtered: sum(({ filtered }) => filtered.count),
      deadLettered: sum(({ deadLettered }) => deadLettered.count),
    };
  }

  add(line: Exclude<ExportedLine, { kind: 'unreadable' }>): void {
    if (line.kind === 'status') this.#addStatus(line.body);
    else this.#addRecord(BigInt(line.id), line.bytes);
  }

  #addRecord(id: Cursor, bytes: Buffer): void {
    if (id <= this.#first) return;
    if (id <= this.#last) this.#rows.add(id, this.#hasher.hash(id, bytes));
    else if (this.#chain.isWhole) {
      this.#counts.unsealed += 1;
      this.#beyond ??= [id, id];
      if (id < this.#beyond[0]) this.#beyond[0] = id;
      if (id > this.#beyond[1]) this.#beyond[1] = id;
    }
  }

  /** Compares. */
  finish(): { readonly counts: RecordCounts; readonly flaws: readonly Flaw[] } {
    const announced = announcedIds(this.#chain.seals);
    for (const [index, { seals }] of this.#parts.entries()) this.#verifyPart(this.#rows.part(index), seals, announced);
    for (const [kind, count] of this.#listed)
      if (count > mostListed)
        this.#flaws.push({ verdict: 'broken', about: 'completeness', detail: `${count - mostListed} more ${kind}` });
    this.#judgeTail();
    return { counts: this.#counts, flaws: this.#flaws };
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]();
  }

  /**
   * The forwarder's own records name the seals that were there when they were sent. Only those sent after the newest seal show
   * that it is not the newest: older ones may name seals of a state that was lost and recovered.
   */
  #addStatus(body: Readonly<Record<string, unknown>>): void {
    const { sink, seal, seal_seq: seq, at } = body;
    if (sink !== this.#chain.sink) return;
    const named = typeof seal === 'object' && seal !== null ? (seal as Partial<Seal>).seq : seq;
    const newest = this.#chain.seals.at(-1)?.seal;
    if (typeof named !== 'number' || newest === undefined || named <= this.#newestNamed) return;
    const isLater = typeof at === 'string' && Date.parse(at) > Date.parse(newest.to.at);
    if (named <= newest.seq || isLater) this.#newestNamed = named;
  }

  #verifyPart(
    rows: SortedRows,
    seals: readonly FoundSeal[],
    announced: { readonly resent: IdRanges; readonly replayed: IdRanges },
  ): void {
    const delivered = new IdRanges();
    const others = new IdRanges();
    const again = new IdRanges();
    for (const { seal } of seals) {
      for (const [from, to] of rangesOf(seal))
        for (let id = from; id <= to; id++) (delivered.has(id) ? again : delivered).add(id);
      for (const [from, to] of idsOf(seal)) for (let id = from; id <= to; id++) others.add(id);
    }
    this.#counts.delivered += delivered.size;
    const isAnnounced = (id: Cursor) => announced.resent.has(id) || announced.replayed.has(id) || again.has(id);
    for (let at = 0; at < rows.length; ) {
      const id = rows.id(at);
      const copies = copiesAt(rows, at);
      at += copies.count;
      if (delivered.has(id)) {
        this.#counts.present += 1;
        this.#duplicates(id, copies.count - 1, isAnnounced(id), sealOf(id, seals));
      } else this.#unknown(id, copies.count, { isSealed: others.has(id), isReplayed: announced.replayed.has(id) });
    }
    for (const one of seals) this.#verifySeal(rows, one, isAnnounced);
  }

  #verifySeal(rows: SortedRows, { seal, place }: FoundSeal, isAnnounced: (id: Cursor) => boolean): void {
    const leaves: Hash[] = [];
    const differing: { readonly at: number; readonly id: Cursor; readonly copies: readonly Hash[] }[] = [];
    const missing: Cursor[] = [];
    for (const [from, to] of rangesOf(seal)) {
      let at = rows.find(from);
      for (let id = from; id <= to; id++) {
        if (at >= rows.length || rows.id(at) !== id) {
          missing.push(id);
          continue;
        }
        const { count, leaves: copies } = copiesAt(rows, at);
        at += count;
        if (copies.length > 1) differing.push({ at: leaves.length, id, copies });
        leaves.push(copies[0] as Hash);
      }
    }
    for (const id of missing)
      this.#list('missing records', broken('completeness', `id ${id} is missing; ${where(seal)}`));
    if (missing.length > 0) {
      const detail = `the other records of seal ${seal.seq} can't be compared with its root`;
      this.#list('seals with missing records', { verdict: 'not covered', about: 'integrity', detail });
      return;
    }
    const chosen = chooseCopies(leaves, differing, seal.records);
    if (chosen === undefined) {
      this.#counts.changed += Math.max(1, differing.length);
      const [first, last] = [rangesOf(seal)[0]?.[0], rangesOf(seal).at(-1)?.[1]];
      const one = seal.delivered.count === 1 ? `id ${first}` : undefined;
      const ids = differing.length > 0 ? `id ${differing.map(({ id }) => id).join(', ')}` : one;
      const what = ids ?? `one of the ${seal.delivered.count} records with the ids ${first} to ${last}`;
      this.#list('changed records', broken('integrity', `${what} is changed; ${where(seal)}, ${place}`));
      return;
    }
    for (const { id } of differing) {
      if (isAnnounced(id)) continue;
      this.#counts.changed += 1;
      const detail = `id ${id} has copies that differ, and one of them is not what was sealed; ${where(seal)}`;
      this.#list('changed records', broken('integrity', detail));
    }
  }

  #duplicates(id: Cursor, more: number, isAnnounced: boolean, seal: Seal | undefined): void {
    if (more === 0) return;
    this.#counts.duplicated += more;
    if (isAnnounced) this.#counts.announced += more;
    else {
      const detail = `id ${id} is there ${more + 1} times, and no seal announces it; ${seal ? where(seal) : ''}`;
      this.#list('duplicated records', broken('completeness', detail));
    }
  }

  #unknown(
    id: Cursor,
    copies: number,
    { isSealed, isReplayed }: { readonly isSealed: boolean; readonly isReplayed: boolean },
  ): void {
    // A replay may deliver what was filtered or dead-lettered before, or what appeared too late.
    if (isReplayed && isSealed) return;
    if (isReplayed) {
      const detail = `id ${id} was delivered by a replay, and no seal covers it`;
      this.#list('replayed records', { verdict: 'not covered', about: 'integrity', detail });
    } else {
      this.#counts.unknown += copies;
      this.#list('unknown records', broken('integrity', `id ${id} is unknown: no seal has it as delivered`));
    }
  }

  /** Whether newer seals were cut off: what the records show beyond the newest one. */
  #judgeTail(): void {
    const newest = this.#chain.seals.at(-1)?.seal;
    if (newest === undefined || !this.#chain.isWhole) return;
    if (this.#newestNamed > newest.seq) {
      const detail = `the newest seal is ${newest.seq}, and the forwarder's own records name seal ${this.#newestNamed}: newer seals were cut off`;
      this.#flaws.push(broken('integrity', detail));
    }
    if (this.#beyond === undefined) return;
    const [from, to] = this.#beyond;
    const ids = `the ids ${from} to ${to} lie beyond seal ${newest.seq}, the newest`;
    if (this.#newestNamed === newest.seq)
      this.#flaws.push({ verdict: 'not covered', about: 'completeness', detail: `not sealed yet: ${ids}` });
    else
      this.#flaws.push(
        broken(
          'completeness',
          `${ids}: they are not sealed yet, or newer seals were cut off; to leave them out use --to ${newest.to.at}`,
        ),
      );
  }

  #list(kind: string, flaw: Flaw): void {
    const count = (this.#listed.get(kind) ?? 0) + 1;
    this.#listed.set(kind, count);
    if (count <= mostListed) this.#flaws.push(flaw);
  }
}

const broken = (about: Flaw['about'], detail: string): Flaw => ({ verdict: 'broken', about, detail });

const rangesOf = ({ delivered }: Seal) => parseRanges(delivered.ids) ?? [];

const where = ({ seq, from, to }: Seal) => `seal ${seq}, ${from.at} to ${to.at}`;

const sealOf = (id: Cursor, seals: readonly FoundSeal[]) =>
  seals.find(({ seal }) => BigInt(seal.from.after) < id && id <= BigInt(seal.to.after))?.seal;

/** How many rows have the id of row `at`, and their different leaves. */
function copiesAt(rows: SortedRows, at: number): { readonly count: number; readonly leaves: readonly Hash[] } {
  const id = rows.id(at);
  let end = at + 1;
  while (end < rows.length && rows.id(end) === id) end++;
  if (end === at + 1) return { count: 1, leaves: [rows.leaf(at)] };
  const leaves = new Set(Array.from({ length: end - at }, (_, index) => rows.leaf(at + index)));
  return { count: end - at, leaves: [...leaves] };
}

/** The copies that were sealed; undefined if none of the combinations has the root. */
function chooseCopies(
  leaves: readonly Hash[],
  differing: readonly { readonly at: number; readonly copies: readonly Hash[] }[],
  root: string,
): readonly Hash[] | undefined {
  const combinations = differing.reduce((product, { copies }) => product * copies.length, 1);
  const most = Math.max(1, Math.min(combinations, mostCombinations, Math.floor(mostLeaves / (leaves.length + 1))));
  for (let number = 0; number < most; number++) {
    const chosen = [...leaves];
    let rest = number;
    for (const { at, copies } of differing) {
      chosen[at] = copies[rest % copies.length] as Hash;
      rest = Math.floor(rest / copies.length);
    }
    const tree = new MerkleTree();
    for (const leaf of chosen) tree.add(leaf);
    if (hexOf(tree.root) === root) return chosen;
  }
  return undefined;
}

/** Groups seals by their ids, so that no group has many more than `partIds`, and no id is in two groups. */
function partsOf(seals: readonly FoundSeal[]): Part[] {
  const ordered = seals.map((one) => ({ one, ...spanOf(one) })).sort((a, b) => (a.after < b.after ? -1 : 1));
  const parts: { after: Cursor; upTo: Cursor; count: number; seals: FoundSeal[] }[] = [];
  for (const { one, after, upTo } of ordered) {
    const last = parts.at(-1);
    const { count } = one.seal.delivered;
    if (last !== undefined && (after < last.upTo || last.count + count <= partIds)) {
      last.seals.push(one);
      last.count += count;
      if (upTo > last.upTo) last.upTo = upTo;
    } else parts.push({ after, upTo, count, seals: [one] });
  }
  return parts;
}

/** The ids that a seal is about; those of an amending one lie before its own interval. */
function spanOf({ seal }: FoundSeal): { readonly after: Cursor; readonly upTo: Cursor } {
  let [after, upTo] = [BigInt(seal.from.after), BigInt(seal.to.after)];
  for (const [from, to] of idsOf(seal)) {
    if (from <= after) after = from - 1n;
    if (to > upTo) upTo = to;
  }
  return { after, upTo };
}
