/** One record as a collector received it. */
export interface ReceivedRecord {
  readonly text: string;
}

/** The outcome of a history at one sink. */
export interface Account {
  readonly in: number;
  /** Records that arrived, duplicates included. */
  readonly out: number;
  readonly lost: readonly bigint[];
  /** Records beyond the first of their id. */
  readonly doubled: readonly bigint[];
  readonly setAside: number;
  /** Descriptions of records that were altered, forged, out of order, or both delivered and set aside. */
  readonly faults: readonly string[];
}

/** Characters that a syslog sink writes as \u: the value is the same, the text is not. */
const escaped = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export const idOf = (text: string): bigint => {
  const id = /"id":\s*(\d+)/.exec(text)?.[1];
  if (id === undefined) throw new TypeError('a record without an id');
  return BigInt(id);
};

/** Knows every id and payload of a history, and compares them with what a sink received. */
export class Checker {
  readonly #texts: ReadonlyMap<bigint, string>;

  /** @param texts the API's own text of each event, in order of id */
  constructor(texts: readonly string[]) {
    this.#texts = new Map(texts.map((text) => [idOf(text), text]));
  }

  get ids(): readonly bigint[] {
    return [...this.#texts.keys()];
  }

  get texts(): readonly string[] {
    return [...this.#texts.values()];
  }

  /** `late`: ids that may arrive after greater ones. */
  check(
    received: readonly ReceivedRecord[],
    deadLetters: readonly ReceivedRecord[] = [],
    late: ReadonlySet<bigint> = new Set(),
  ): Account {
    const faults = new Set<string>();
    const seen = new Set<bigint>();
    const doubled: bigint[] = [];
    let greatest = 0n;
    for (const { text } of received) {
      const id = this.#known(text, faults, 'delivered');
      if (id === undefined) continue;
      if (seen.has(id)) doubled.push(id);
      else if (id > greatest) greatest = id;
      else if (!late.has(id)) faults.add(`${id} came for the first time behind ${greatest}`);
      seen.add(id);
    }
    const put = new Set<bigint>();
    for (const { text } of deadLetters) {
      const id = this.#known(text, faults, 'set aside');
      if (id === undefined) continue;
      if (put.has(id)) faults.add(`${id} was set aside twice`);
      if (seen.has(id)) faults.add(`${id} was delivered and set aside`);
      put.add(id);
    }
    const lost = this.ids.filter((id) => !seen.has(id) && !put.has(id));
    return { in: this.#texts.size, out: received.length, lost, doubled, setAside: put.size, faults: [...faults] };
  }

  /** The id, if the API sent this record; otherwise adds a fault. */
  #known(text: string, faults: Set<string>, what: string): bigint | undefined {
    try {
      const id = idOf(text);
      const own = this.#texts.get(id);
      if (own === undefined) faults.add(`${what}: ${id}, which never was`);
      else if (
        own !== text &&
        !(escaped.test(own) && JSON.stringify(JSON.parse(own)) === JSON.stringify(JSON.parse(text)))
      )
        faults.add(`${what}: ${id} is not as the API sent it`);
      return own === undefined ? undefined : id;
    } catch {
      faults.add(`${what}: not an audit record: ${JSON.stringify(text.slice(0, 60))}`);
      return undefined;
    }
  }
}
