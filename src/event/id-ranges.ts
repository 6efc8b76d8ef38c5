import type { Cursor } from './event.ts';

export type IdRange = readonly [from: Cursor, to: Cursor];

/**
 * A set of ids, stored as ascending inclusive ranges of consecutive ids. Adding at the end takes O(1), elsewhere O(log n) to
 * find the place and O(n) to insert; memory is one pair per range.
 */
export class IdRanges {
  #ranges: [Cursor, Cursor][] = [];
  #size = 0;

  static of(ranges: Iterable<IdRange>): IdRanges {
    const set = new IdRanges();
    for (const [from, to] of ranges) {
      set.#ranges.push([from, to]);
      set.#size += Number(to - from) + 1;
    }
    return set;
  }

  /** Number of ids. */
  get size(): number {
    return this.#size;
  }

  get first(): Cursor | undefined {
    return this.#ranges[0]?.[0];
  }
  get last(): Cursor | undefined {
    return this.#ranges.at(-1)?.[1];
  }

  /** The greatest id below `id`. */
  lastBelow(id: Cursor): Cursor | undefined {
    const at = this.#firstEndingAtOrAfter(id);
    const range = this.#ranges[at];
    return range !== undefined && range[0] < id ? id - 1n : this.#ranges[at - 1]?.[1];
  }

  /** How many ids above `id` are in the set. */
  idsAbove(id: Cursor): number {
    const first = this.first;
    if (first === undefined || first > id) return this.#size;
    let ids = 0;
    for (let at = this.#firstEndingAtOrAfter(id + 1n); at < this.#ranges.length; at++) {
      const [from, to] = this.#ranges[at] as [Cursor, Cursor];
      ids += Number(to - (from > id ? from : id + 1n)) + 1;
    }
    return ids;
  }

  /** In how many ranges they are. */
  rangesAbove(id: Cursor): number {
    return this.#ranges.length - this.#firstEndingAtOrAfter(id + 1n);
  }

  toArray(): readonly IdRange[] {
    return this.#ranges.map(([from, to]) => [from, to] as const);
  }

  has(id: Cursor): boolean {
    return this.endBehind(id) !== undefined;
  }

  /** The last of the consecutive ids that begin with `id`; undefined if `id` is not in the set. */
  endBehind(id: Cursor): Cursor | undefined {
    const range = this.#ranges[this.#firstEndingAtOrAfter(id)];
    return range !== undefined && range[0] <= id ? range[1] : undefined;
  }

  /** Fast if the ids ascend and are greater than those in the set. */
  addAll(ids: readonly Cursor[]): void {
    eachRun(ids, (from, to) => {
      const last = this.#ranges.at(-1);
      if (last !== undefined && from <= last[1]) for (let id = from; id <= to; id++) this.add(id);
      else {
        if (last !== undefined && from === last[1] + 1n) last[1] = to;
        else this.#ranges.push([from, to]);
        this.#size += Number(to - from) + 1;
      }
    });
  }

  /** Fast if the ids ascend. */
  deleteAll(ids: readonly Cursor[]): void {
    eachRun(ids, (from, to) => {
      const at = this.#firstEndingAtOrAfter(from);
      const range = this.#ranges[at];
      if (range !== undefined && range[0] === from && to <= range[1]) {
        this.#size -= Number(to - from) + 1;
        if (to === range[1]) this.#ranges.splice(at, 1);
        else range[0] = to + 1n;
      } else for (let id = from; id <= to; id++) this.delete(id);
    });
  }

  add(id: Cursor): void {
    const ranges = this.#ranges;
    const last = ranges.at(-1);
    if (last === undefined || id > last[1] + 1n) {
      ranges.push([id, id]);
    } else if (id === last[1] + 1n) {
      last[1] = id;
    } else {
      const at = this.#firstEndingAtOrAfter(id);
      const next = ranges[at];
      const before = ranges[at - 1];
      if (next !== undefined && next[0] <= id) return;
      const touchesBefore = before !== undefined && before[1] + 1n === id;
      const touchesNext = next !== undefined && next[0] - 1n === id;
      if (touchesBefore && touchesNext) {
        before[1] = next[1];
        ranges.splice(at, 1);
      } else if (touchesBefore) before[1] = id;
      else if (touchesNext) next[0] = id;
      else ranges.splice(at, 0, [id, id]);
    }
    this.#size += 1;
  }

  /** Removes every id at or below `id` and returns them. */
  takeUpTo(id: Cursor): readonly IdRange[] {
    const keep = this.#firstEndingAtOrAfter(id + 1n);
    const taken: IdRange[] = this.#ranges.splice(0, keep);
    const first = this.#ranges[0];
    if (first !== undefined && first[0] <= id) {
      taken.push([first[0], id]);
      first[0] = id + 1n;
    }
    for (const [from, to] of taken) this.#size -= Number(to - from) + 1;
    return taken;
  }

  delete(id: Cursor): void {
    const at = this.#firstEndingAtOrAfter(id);
    const range = this.#ranges[at];
    if (range === undefined || range[0] > id) return;
    const [from, to] = range;
    this.#size -= 1;
    // The usual case, without a copy: ids leave in the order in which they came.
    if (id === from && id < to) {
      range[0] = id + 1n;
      return;
    }
    const rest: [Cursor, Cursor][] = [];
    if (from < id) rest.push([from, id - 1n]);
    if (to > id) rest.push([id + 1n, to]);
    this.#ranges.splice(at, 1, ...rest);
  }

  #firstEndingAtOrAfter(id: Cursor): number {
    let low = 0;
    let high = this.#ranges.length;
    const last = this.#ranges.at(-1);
    if (last !== undefined && last[1] < id) return high;
    const first = this.#ranges[0];
    if (first !== undefined && first[1] >= id) return 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle];
      if (range !== undefined && range[1] < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Every id, ascending. */
export function idsOf(ranges: readonly IdRange[]): Cursor[] {
  const ids: Cursor[] = [];
  for (const [from, to] of ranges) for (let id = from; id <= to; id++) ids.push(id);
  return ids;
}

/** Calls `visit` for each run of consecutive ids, in the given order. */
function eachRun(ids: readonly Cursor[], visit: (from: Cursor, to: Cursor) => void): void {
  let [from] = ids;
  if (from === undefined) return;
  let to = from;
  let number = Number(to);
  for (let at = 1; at < ids.length; at++) {
    const id = ids[at] as Cursor;
    const next = Number(id);
    // Beyond 2^53 numbers can't tell neighbours apart: there each id is a separate run.
    if (next !== number + 1 || !Number.isSafeInteger(next) || !Number.isSafeInteger(number)) {
      visit(from, to);
      from = id;
    }
    to = id;
    number = next;
  }
  visit(from, to);
}
