// Above 250 lines: the interfaces of store.ts, each in memory.
import { type AuditEvent, auditEvent, type Cursor } from '../event/event.ts';
import type { Finding } from '../lib/finding.ts';
import { bigintsAsText } from '../lib/json.ts';
import {
  type Checkpoint,
  CheckpointProblem,
  type CheckpointState,
  type DeadLetter,
  type DeadLetterKind,
  type DeadLetterStore,
  type DeadLetterSummary,
  type HeartbeatState,
  type IdInterval,
  type OperationsPage,
  type OperationsRecord,
  type RenameCheck,
  type SealStore,
  type SharedState,
  type StateBackend,
  StateLocked,
  type StateStore,
  type TenantIdentity,
} from './store.ts';

/** State that ends with the process: for a replay, which moves no checkpoint, and for tests. */
export class MemoryBackend implements StateBackend {
  readonly location = 'memory';
  readonly #now: () => number;
  readonly #tenants = new Map<string, MemoryData>();

  /** `now`: milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  async own(tenant: TenantIdentity): Promise<StateStore> {
    const data = this.#dataOf(tenant);
    if (data.owned) throw new StateLocked(`the state of ${tenant.name} is in use by this process`);
    data.owned = true;
    return new MemoryStore(tenant, this.#now, data);
  }

  share(tenant: TenantIdentity): SharedState {
    return new MemoryStore(tenant, this.#now, this.#dataOf(tenant));
  }

  async owner(tenant: TenantIdentity): Promise<string | undefined> {
    return this.#dataOf(tenant).owned ? 'this process' : undefined;
  }

  async examine(): Promise<Finding[]> {
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #dataOf({ name }: TenantIdentity): MemoryData {
    const data = this.#tenants.get(name) ?? new MemoryData();
    this.#tenants.set(name, data);
    return data;
  }
}

class MemoryData {
  readonly checkpoints = new Map<string, { readonly checkpoint: Checkpoint; readonly updatedAt: string }>();
  readonly letters = new Map<string, MemoryDeadLetters>();
  readonly seals = new Map<string, MemorySeals>();
  readonly operations: Record<string, unknown>[] = [];
  heartbeat: HeartbeatState | undefined;
  owned = false;
}

/** The state of one tenant in memory. */
export class MemoryStore implements StateStore {
  readonly #origin: string;
  readonly #now: () => number;
  readonly #data: MemoryData;

  /** `now`: milliseconds since the epoch. */
  constructor({ origin }: TenantIdentity, now: () => number, data = new MemoryData()) {
    this.#origin = origin;
    this.#now = now;
    this.#data = data;
  }

  async load(sink: string): Promise<Checkpoint | undefined> {
    const found = this.#data.checkpoints.get(sink)?.checkpoint;
    if (found !== undefined && found.source !== this.#origin)
      throw new CheckpointProblem(`the checkpoint of sink ${sink} belongs to ${found.source}, not to ${this.#origin}`);
    return found;
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const updatedAt = new Date(this.#now()).toISOString();
    this.#data.checkpoints.set(checkpoint.sink, { checkpoint, updatedAt });
  }

  overwrite(checkpoint: Checkpoint): Promise<void> {
    return this.save(checkpoint);
  }

  async remove(sink: string): Promise<void> {
    this.#data.checkpoints.delete(sink);
  }

  async inspect(): Promise<readonly CheckpointState[]> {
    return [...this.#data.checkpoints]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([sink, saved]) => {
        const foreign = saved.checkpoint.source !== this.#origin;
        return { sink, ...saved, condition: foreign ? 'other tenant' : 'good' };
      });
  }

  async checkRename(from: string, to: string): Promise<RenameCheck> {
    const { checkpoints, letters } = this.#data;
    if (checkpoints.has(to)) return { kind: 'taken', what: 'checkpoint', location: to };
    if (!checkpoints.has(from)) return { kind: 'missing' };
    const names = namesOf(from).filter((name) => letters.get(name)?.isEmpty === false);
    const taken = namesOf(to).find((name) => letters.get(name)?.isEmpty === false);
    if (names.length > 0 && taken !== undefined) return { kind: 'taken', what: 'dead letters', location: taken };
    return { kind: 'possible', deadLetters: names };
  }

  async rename(from: string, to: string): Promise<void> {
    const { checkpoints, letters } = this.#data;
    const saved = checkpoints.get(from);
    for (const [index, name] of namesOf(from).entries()) {
      const moved = letters.get(name);
      letters.delete(name);
      if (moved !== undefined) letters.set(namesOf(to)[index] as string, moved);
    }
    checkpoints.delete(from);
    if (saved === undefined) return;
    const { seal: _, ...checkpoint } = saved.checkpoint;
    checkpoints.set(to, { ...saved, checkpoint: { ...checkpoint, sink: to } });
  }

  deadLetters(sink: string, kind: DeadLetterKind = 'delivery'): DeadLetterStore {
    const [delivery = '', replay = ''] = namesOf(sink);
    const name = kind === 'delivery' ? delivery : replay;
    const letters = this.#data.letters.get(name) ?? new MemoryDeadLetters(name);
    this.#data.letters.set(name, letters);
    return letters;
  }

  seals(sink: string): SealStore {
    const seals = this.#data.seals.get(sink) ?? new MemorySeals(sink);
    this.#data.seals.set(sink, seals);
    return seals;
  }

  async record(record: OperationsRecord): Promise<void> {
    const at = new Date(this.#now()).toISOString();
    this.#data.operations.push(JSON.parse(JSON.stringify({ at, uid: null, ...record }, bigintsAsText)));
  }

  async operations(from: number): Promise<OperationsPage> {
    return { entries: this.#data.operations.slice(from), end: this.#data.operations.length };
  }

  async loadHeartbeat(): Promise<HeartbeatState | undefined> {
    return this.#data.heartbeat;
  }

  async saveHeartbeat(state: HeartbeatState): Promise<void> {
    this.#data.heartbeat = state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#data.owned = false;
  }
}

const namesOf = (sink: string): readonly string[] => [sink, `${sink}.replay`];

class MemoryDeadLetters implements DeadLetterStore {
  readonly location: string;
  readonly #letters: AuditEvent[] = [];

  constructor(location: string) {
    this.location = location;
  }

  get isEmpty(): boolean {
    return this.#letters.length === 0;
  }

  async open(): Promise<void> {}

  async probe(): Promise<void> {}

  async append({ event }: DeadLetter): Promise<void> {
    const isKnown = this.#letters.some(({ id, text }) => id === event.id && text.equals(event.text));
    if (!isKnown) this.#letters.push(auditEvent({ ...event, text: Buffer.from(event.text) }));
  }

  async *entries(interval: IdInterval): AsyncGenerator<AuditEvent> {
    yield* this.#newest(interval).values();
  }

  async summary(interval: IdInterval): Promise<DeadLetterSummary> {
    const newest = this.#newest(interval);
    const ids = [...newest.keys()];
    const [first, last] = [ids[0], ids.at(-1)];
    const replaced = this.#letters.filter(({ id }) => newest.has(id)).length - newest.size;
    return {
      events: ids.length,
      ...(first !== undefined && { first }),
      ...(last !== undefined && { last }),
      unreadable: 0,
      replaced,
    };
  }

  async count(): Promise<number> {
    return this.#letters.length;
  }

  #newest({ after, until }: IdInterval): ReadonlyMap<Cursor, AuditEvent> {
    const inside = this.#letters.filter(({ id }) => id > after && (until === undefined || id <= until));
    const sorted = inside.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
    return new Map(sorted.map((event) => [event.id, event]));
  }
}

class MemorySeals implements SealStore {
  readonly location: string;
  readonly #lines: string[] = [];
  #unsealed: readonly string[] = [];

  constructor(location: string) {
    this.location = location;
  }

  async newest(): Promise<string | undefined> {
    return this.#lines.at(-1);
  }

  async append(line: string): Promise<void> {
    this.#lines.push(line);
  }

  async *lines(): AsyncGenerator<string> {
    yield* this.#lines;
  }

  async unsealed(): Promise<readonly string[]> {
    return this.#unsealed;
  }

  async addUnsealed(entries: readonly string[]): Promise<void> {
    this.#unsealed = [...this.#unsealed, ...entries];
  }

  async replaceUnsealed(entries: readonly string[]): Promise<void> {
    this.#unsealed = [...entries];
  }
}
