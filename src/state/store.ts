import type { Cursor } from '../event/event.ts';

/** What of one sink must outlive the process. */
export interface Checkpoint {
  readonly sink: string;
  /** Origin of `source.url` that the ids belong to. */
  readonly source: string;
  /** Everything at or below is done and nothing can appear there any more. */
  readonly after: Cursor;
  /** Ids above `after` that are delivered, filtered or set aside, as inclusive ranges, ascending, apart. */
  readonly delivered: readonly (readonly [Cursor, Cursor])[];
  /** The first start is to be at this time (milliseconds since the epoch) and its cursor is not found yet. */
  readonly startMs?: number;
  /** Events refused alone in a row without one acceptance between (the breaker against our own faults). */
  readonly refusedInRow: number;
  /** The newest delivered event and a SHA-256 of its text: tells a log that was rewritten. */
  readonly newest?: { readonly id: Cursor; readonly sha256: string };
  /** What the sink itself wants to remember (open acknowledgements); JSON. */
  readonly pendingAcks?: unknown;
}

/** A checkpoint that can't be used: the start stops (exit code 78), the files stay untouched. */
export class CheckpointProblem extends Error {
  override readonly name = 'CheckpointProblem';
}

/** Where checkpoints live. Files now; another implementation may follow. */
export interface CheckpointStore {
  /**
   * The last saved checkpoint of `sink`, or undefined where there never was one.
   * @throws {CheckpointProblem} damaged, of another source, or of a newer version
   */
  load(sink: string): Promise<Checkpoint | undefined>;
  /** Durable when it resolves. @throws the file system's error, with everything as it was before */
  save(checkpoint: Checkpoint): Promise<void>;
  /** Names of all sinks that have a checkpoint. */
  list(): Promise<string[]>;
}
