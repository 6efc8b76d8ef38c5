// Above 250 lines: everything of a tenant that outlives a process, behind interfaces that belong together.
import type { AuditEvent, Cursor } from '../event/event.ts';
import type { Finding } from '../lib/finding.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';

/** Identifies the newest delivered event: if another event has its id, the log was rewritten. */
export interface NewestEvent {
  readonly id: Cursor;
  readonly action?: string;
  /** Milliseconds since the epoch; undefined if the event has no readable time. */
  readonly createdAtMs?: number | undefined;
  /** In place of `action` and `createdAtMs` in checkpoints of older versions: the SHA-256 of its text, hexadecimal. */
  readonly sha256?: string;
}

/** What one sink needs to continue after a restart. */
export interface Checkpoint {
  readonly sink: string;
  /** Origin of `source.url` that the ids belong to. */
  readonly source: string;
  /** Every event at or below is done, and none can appear there any more. */
  readonly after: Cursor;
  /** Ids above `after` that are delivered, filtered or dead-lettered: inclusive ranges, ascending, disjoint. */
  readonly delivered: readonly (readonly [Cursor, Cursor])[];
  /** The sink starts at this time (milliseconds since the epoch); the cursor for it is not found yet. */
  readonly startMs?: number;
  /** Events rejected alone in a row without an acceptance between them; the limit is in contract section 4. */
  readonly refusedInRow: number;
  readonly newest?: NewestEvent;
  /** What the sink itself stores, for example pending acknowledgements; JSON. */
  readonly pendingAcks?: unknown;
  /** The seal in progress; JSON. Absent without `evidence`. */
  readonly seal?: unknown;
}

/** A checkpoint that can't be used: exit code 78, nothing is changed. */
export class CheckpointProblem extends Error {
  override readonly name = 'CheckpointProblem';
}

/** The state can't be used: exit code 73. */
export class StateProblem extends Error {
  override readonly name = 'StateProblem';
}

/** For a `catch` after an error that matters more. @throws what is no StateProblem */
export function ignoreStateProblem(error: unknown): void {
  if (!(error instanceof StateProblem)) throw error;
}

/** Another process owns the state: exit code 75. */
export class StateLocked extends Error {
  override readonly name: string = 'StateLocked';
}

/** Another process owns the state since this one owned it: nothing is saved any more, and the process must end. */
export class Fenced extends StateLocked {
  override readonly name = 'Fenced';
}

/** The checkpoints of one tenant, as a pipeline uses them. */
export interface CheckpointStore {
  /**
   * The last saved checkpoint of `sink`, or undefined if there never was one.
   * @throws {CheckpointProblem} if it is damaged, of another tenant, or of a newer version
   */
  load(sink: string): Promise<Checkpoint | undefined>;
  /** Durable once it resolves. @throws the storage's error; the earlier checkpoint is then unchanged @throws {Fenced} */
  save(checkpoint: Checkpoint): Promise<void>;
}

/** The condition of one sink's checkpoint. `fallback`: only the generation before the newest is good. */
export type CheckpointCondition = 'good' | 'fallback' | 'damaged' | 'newer' | 'other tenant';

export interface CheckpointState {
  readonly sink: string;
  readonly condition: CheckpointCondition;
  /** What is wrong; one printable line. */
  readonly detail?: string;
  /** Present unless `damaged` or `newer`; with `damaged` only if the file belongs to another sink. */
  readonly checkpoint?: Checkpoint;
  /** ISO 8601. */
  readonly updatedAt?: string;
}

/** A record that a sink rejected for its content. */
export interface DeadLetter {
  readonly sink: string;
  readonly reason: string;
  readonly event: AuditEvent;
}

/** Dead letters in a range of ids, counted. */
export interface DeadLetterSummary {
  /** Different ids. */
  readonly events: number;
  readonly first?: Cursor;
  readonly last?: Cursor;
  /** Entries that can't be read. */
  readonly unreadable: number;
  /** Older entries for an id whose newest entry has another text (the log was rewritten). */
  readonly replaced: number;
}

/** Ids above `after` up to `until`; without `until` all above. */
export interface IdInterval {
  readonly after: Cursor;
  readonly until?: Cursor | undefined;
}

/** The rejected records of one sink. Part of the audit trail: entries are only ever added. */
export interface DeadLetterStore {
  /** Where a person finds them. */
  readonly location: string;
  /**
   * Prepares for events above `after`: those already stored (written before a crash, but not in the checkpoint) are made
   * durable, and `append` skips them.
   * @throws the storage's error
   */
  open(after: Cursor): Promise<void>;
  /** Durable once it resolves. @throws the storage's error, with nothing half written */
  append(letter: DeadLetter): Promise<void>;
  /** Checks that `append` can write; changes no entry. @throws the storage's error */
  probe(): Promise<void>;
  /** The events of the interval in ascending order of id, each once with its newest text. @throws the storage's error */
  entries(interval: IdInterval): AsyncIterable<AuditEvent>;
  /** @throws the storage's error */
  summary(interval: IdInterval): Promise<DeadLetterSummary>;
  /** Number of all entries. @throws the storage's error */
  count(): Promise<number>;
}

/**
 * The seals of one sink, one line of JSON each, and what the next ones need of events above the checkpoint. Part of the audit
 * trail: seals are only ever added.
 */
export interface SealStore {
  /** Where a person finds them. */
  readonly location: string;
  /** Returns the line of the newest seal, or undefined before the first one. @throws the storage's error */
  newest(): Promise<string | undefined>;
  /**
   * Adds a seal; durable once it resolves. `atMs`: the end of its interval, milliseconds since the epoch.
   * @throws the storage's error
   */
  append(line: string, atMs: number): Promise<void>;
  /** All seals, oldest first. @throws the storage's error */
  lines(): AsyncIterable<string>;
  /** The unsealed entries, in the order they were added, each a line of text. @throws the storage's error */
  unsealed(): Promise<readonly string[]>;
  /** Adds entries; durable once it resolves. @throws the storage's error */
  addUnsealed(entries: readonly string[]): Promise<void>;
  /** Replaces all entries by these; durable once it resolves. @throws the storage's error */
  replaceUnsealed(entries: readonly string[]): Promise<void>;
}

/** `replay`: records that a replay sent again and the sink rejected again. */
export type DeadLetterKind = 'delivery' | 'replay';

/** What a person did to the state. Ids are stored as strings of digits. */
export interface Operation {
  /** For example `cursor set`. */
  readonly operation: string;
  readonly sink: string;
  /** Positions, names or a range before and after, null if unknown. */
  readonly from: unknown;
  readonly to: unknown;
  readonly [more: string]: unknown;
}

/** What the program did or observed. */
export interface OwnEvent {
  /** For example `forwarder.started`. */
  readonly event: string;
  readonly [more: string]: unknown;
}

export type OperationsRecord = Operation | OwnEvent;

/** A part of the operations log. */
export interface OperationsPage {
  /** In the order they were recorded; entries that can't be read are left out. */
  readonly entries: readonly Readonly<Record<string, unknown>>[];
  /** Where the log ends: the position to continue from. */
  readonly end: number;
}

/** What the heartbeat stores across restarts. */
export interface HeartbeatState {
  /** Position in the operations log up to which entries were announced. */
  readonly operations: number;
  /** When the process was last known to run, milliseconds since the epoch. */
  readonly aliveAtMs: number;
}

/** What a process may do to a tenant's state without owning it: read everything, append to logs. */
export interface SharedState {
  /** The checkpoint of each sink that has one. Changes nothing. @throws {StateProblem} */
  inspect(): Promise<readonly CheckpointState[]>;
  deadLetters(sink: string, kind?: DeadLetterKind): DeadLetterStore;
  /** Only the owner adds seals. */
  seals(sink: string): SealStore;
  /** Appends `{ at, uid, …record }` to the operations log; durable once it resolves. @throws {StateProblem} */
  record(record: OperationsRecord): Promise<void>;
  /** The newest part of the operations log after position `from` (0: all of it). @throws the storage's error */
  operations(from: number): Promise<OperationsPage>;
}

/** Whether a sink can be renamed. */
export type RenameCheck =
  /** `deadLetters`: names of the dead letters that get the new name. */
  | { readonly kind: 'possible'; readonly deadLetters: readonly string[] }
  /** There is no checkpoint to rename. */
  | { readonly kind: 'missing' }
  /** `what` has the new name already. */
  | { readonly kind: 'taken'; readonly what: 'checkpoint' | 'dead letters'; readonly location: string }
  | { readonly kind: 'damaged' | 'newer'; readonly detail: string };

/** Everything of one tenant that outlives a process, for the one process that owns it. */
export interface StateStore extends SharedState, CheckpointStore, AsyncDisposable {
  /** Saves like `save` and leaves no earlier generation that a start could fall back to. */
  overwrite(checkpoint: Checkpoint): Promise<void>;
  /** Removes the checkpoint; dead letters stay. Durable once it resolves. */
  remove(sink: string): Promise<void>;
  checkRename(from: string, to: string): Promise<RenameCheck>;
  /** Gives checkpoint and dead letters of `from` the name `to`. If it is interrupted, the same call completes it. */
  rename(from: string, to: string): Promise<void>;
  /** Undefined if there is none, or if it was damaged and had to be set aside (reported as a warning). */
  loadHeartbeat(): Promise<HeartbeatState | undefined>;
  /** @throws the storage's error */
  saveHeartbeat(state: HeartbeatState): Promise<void>;
}

export interface TenantIdentity {
  readonly name: string;
  /** Origin of `source.url`. */
  readonly origin: string;
}

/** The state of all tenants. */
export interface StateBackend extends AsyncDisposable {
  /** Where a person finds it, for example the directory. */
  readonly location: string;
  /** Takes ownership, released when the store is disposed or the process dies. @throws {StateLocked} @throws {StateProblem} */
  own(tenant: TenantIdentity, signals: ShutdownSignals): Promise<StateStore>;
  /** Without ownership; creates nothing before the first append. */
  share(tenant: TenantIdentity): SharedState;
  /** Who owns it, in words; undefined if no process does. Changes nothing. @throws {StateProblem} */
  owner(tenant: TenantIdentity): Promise<string | undefined>;
  /** Checks whether the state can be used or created; changes nothing. */
  examine(): Promise<Finding[]>;
}
