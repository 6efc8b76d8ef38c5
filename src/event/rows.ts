/** Where the parts of an event stand in its page, as offsets; what is not there is as empty. */
export interface Places {
  readonly idAt: number;
  readonly idEnd: number;
  readonly timeAt: number;
  readonly timeEnd: number;
  /** The user's mail address. */
  readonly userAt: number;
  readonly userEnd: number;
  readonly ipAt: number;
  readonly ipEnd: number;
  /** `createdAt`, milliseconds since the epoch. */
  readonly createdAtMs: number;
}

const cells = 8;

/** The places of a page's events, a row for each: one block of memory that the garbage collector neither walks nor moves. */
export class Rows {
  #cells: Int32Array;
  #times: Float64Array;
  #count = 0;

  /** `expected`: how many rows there will be, about. */
  constructor(expected: number) {
    this.#cells = new Int32Array(expected * cells);
    this.#times = new Float64Array(expected);
  }

  /** Copies `places` into a row of their own; gives its number. */
  add(places: Places): number {
    const row = this.#count++;
    if (row === this.#times.length) this.#grow();
    const own = this.#cells;
    const at = row * cells;
    own[at] = places.idAt;
    own[at + 1] = places.idEnd;
    own[at + 2] = places.timeAt;
    own[at + 3] = places.timeEnd;
    own[at + 4] = places.userAt;
    own[at + 5] = places.userEnd;
    own[at + 6] = places.ipAt;
    own[at + 7] = places.ipEnd;
    this.#times[row] = places.createdAtMs;
    return row;
  }

  idAt(row: number): number {
    return this.#cells[row * cells] ?? 0;
  }
  idEnd(row: number): number {
    return this.#cells[row * cells + 1] ?? 0;
  }
  timeAt(row: number): number {
    return this.#cells[row * cells + 2] ?? 0;
  }
  timeEnd(row: number): number {
    return this.#cells[row * cells + 3] ?? 0;
  }
  userAt(row: number): number {
    return this.#cells[row * cells + 4] ?? 0;
  }
  userEnd(row: number): number {
    return this.#cells[row * cells + 5] ?? 0;
  }
  ipAt(row: number): number {
    return this.#cells[row * cells + 6] ?? 0;
  }
  ipEnd(row: number): number {
    return this.#cells[row * cells + 7] ?? 0;
  }
  createdAtMs(row: number): number {
    return this.#times[row] ?? Number.NaN;
  }

  #grow(): void {
    const [oldCells, oldTimes] = [this.#cells, this.#times];
    const rows = oldTimes.length * 2 + 16;
    this.#cells = new Int32Array(rows * cells);
    this.#cells.set(oldCells);
    this.#times = new Float64Array(rows);
    this.#times.set(oldTimes);
  }
}
