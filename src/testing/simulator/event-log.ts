/** What the API reads from. Ids are bigints: they may exceed 2^53. */
export interface EventLog {
  /**
   * The JSON texts of at most `count` events that are visible now and have an id greater than `after`, as the API
   * sends them: one JSON value each, placed in the body unchanged. In order of id, unless disorder is what is wanted.
   */
  page(after: bigint, count: number): readonly string[];
  /** The greatest id that is visible now, 0n if there is none; without this method the log is scanned. */
  lastId?(): bigint;
  /** True where nothing at or below `id` can change or appear any more; such pages may be kept. Without it: never. */
  fixed?(id: bigint): boolean;
}

/** An event given by hand. */
export interface GivenEvent {
  readonly text: string;
  /** Default: the text's own. A text without an integer id stands where this says. */
  readonly id?: bigint;
  /** By the server's clock, milliseconds since the epoch; default: at once. */
  readonly visibleAtMs?: number;
}

/**
 * The id in an event's text, to the last digit, or undefined where it has no integer one. `1.0` and `1e3` are
 * integers. Beyond 2^53 the first member named `id` with the right value is taken to be the event's own.
 */
export function idOf(text: string): bigint | undefined {
  let id: unknown;
  try {
    id = (JSON.parse(text) as { id?: unknown } | null)?.id;
  } catch {
    return undefined;
  }
  if (typeof id !== 'number' || !Number.isInteger(id)) return undefined;
  if (Number.isSafeInteger(id)) return BigInt(id);
  for (const [, digits] of text.matchAll(/"id"\s*:\s*(-?\d+)(?![\d.eE])/g))
    if (digits !== undefined && Number(digits) === id) return BigInt(digits);
  return BigInt(id);
}

/** Events given by hand, kept in order of id; more can be added, also behind those that were read already. */
export interface ListLog extends EventLog {
  /** @throws {TypeError} where neither the text nor `id` says where an event stands */
  add(events: readonly (string | GivenEvent)[]): void;
  /** `page`, with the ids. */
  entries(after: bigint, count: number): { readonly id: bigint; readonly text: string }[];
  lastId(): bigint;
  readonly size: number;
}

/** `now`: the server's clock, milliseconds since the epoch. @throws {TypeError} as `add` */
export function listLog(events: readonly (string | GivenEvent)[], now: () => number): ListLog {
  const kept: { id: bigint; text: string; visibleAtMs: number }[] = [];
  const add = (more: readonly (string | GivenEvent)[]) => {
    for (const event of more) {
      const given = typeof event === 'string' ? { text: event } : event;
      const id = given.id ?? idOf(given.text);
      if (id === undefined) throw new TypeError('an event of a list needs an integer id');
      kept.push({ id, text: given.text, visibleAtMs: given.visibleAtMs ?? Number.NEGATIVE_INFINITY });
    }
    kept.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  };
  const entries = (after: bigint, count: number) => {
    const atMs = now();
    const found: { id: bigint; text: string }[] = [];
    for (let index = firstAbove(kept, after); index < kept.length && found.length < count; index++) {
      const event = kept[index];
      if (event !== undefined && event.visibleAtMs <= atMs) found.push(event);
    }
    return found;
  };
  add(events);
  return {
    add,
    entries,
    page: (after, count) => entries(after, count).map((event) => event.text),
    lastId: () => kept.findLast((event) => event.visibleAtMs <= now())?.id ?? 0n,
    get size() {
      return kept.length;
    },
  };
}

function firstAbove(kept: readonly { id: bigint }[], after: bigint): number {
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((kept[middle]?.id ?? 0n) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Two logs read as one, in order of id. */
export function merged(base: EventLog, extra: ListLog): EventLog {
  return {
    page(after, count) {
      const ours = base.page(after, count);
      if (extra.size === 0) return ours;
      return [...ours.map((text) => ({ text, id: idOf(text) ?? 0n })), ...extra.entries(after, count)]
        .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
        .slice(0, count)
        .map((event) => event.text);
    },
    lastId() {
      const [ours, theirs] = [lastIdOf(base), extra.lastId()];
      if (ours > theirs) return ours;
      return theirs;
    },
    fixed: (id) => extra.size === 0 && base.fixed?.(id) === true,
  };
}

/** The greatest id that `log` shows now. */
export function lastIdOf(log: EventLog): bigint {
  if (log.lastId !== undefined) return log.lastId();
  for (let last = 0n; ; ) {
    const id = idOf(log.page(last, 1000).at(-1) ?? '');
    if (id === undefined || id <= last) return last;
    last = id;
  }
}
