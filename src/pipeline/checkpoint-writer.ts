import type { AuditEvent, Cursor, Encoded } from '../event/event.ts';
import { retryUntilSettled } from '../lib/backoff.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Retry } from '../lib/verdict.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Checkpoint, CheckpointStore } from '../state/store.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import type { HighWaterMark } from './high-water-mark.ts';
import { digest } from './history-check.ts';

export interface CheckpointWriterOptions {
  readonly sink: string;
  readonly source: string;
  readonly store: CheckpointStore;
  readonly progress: HighWaterMark;
  readonly emit: Emit;
  readonly random: () => number;
  readonly journal: Sink['pendingAcks'];
  readonly last: Checkpoint | undefined;
}

/** What a route remembers beside its progress, and the saving of it all. */
export class CheckpointWriter {
  readonly #options: CheckpointWriterOptions;
  #newest: AuditEvent | undefined;
  #newestSaved: Checkpoint['newest'];
  #refusedInRow: number;
  /** Changes that came, and those of them that are on disk. */
  #changes = 0;
  #saved = 0;
  #trouble: string | undefined;
  #savedAfter: Cursor | undefined;

  constructor(options: CheckpointWriterOptions) {
    this.#options = options;
    this.#newestSaved = options.last?.newest;
    this.#refusedInRow = options.last?.refusedInRow ?? 0;
    this.#savedAfter = options.last?.after;
  }

  get dirty(): boolean {
    return this.#changes !== this.#saved;
  }
  /** The newest delivered event as it was last saved. */
  get newest(): Checkpoint['newest'] {
    return this.#newestSaved;
  }
  get refusedInRow(): number {
    return this.#refusedInRow;
  }
  /** Why the state can't be written just now. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Something changed that must be saved before anything new is sent. */
  touch(): void {
    this.#changes += 1;
  }

  delivered(records: readonly Encoded[]): void {
    this.#options.progress.settle(records.map(({ event }) => event.id));
    this.#refusedInRow = 0;
    const last = records.at(-1)?.event;
    if (last !== undefined && last.id > (this.#newest?.id ?? this.#newestSaved?.id ?? -1n)) this.#newest = last;
    this.#changes += 1;
  }

  setAside(record: Encoded): void {
    this.#options.progress.settle([record.event.id]);
    this.#refusedInRow += 1;
    this.#changes += 1;
  }

  /** `after` moved without a delivery: time alone let it pass. */
  touchIfMoved(): void {
    if (this.#options.progress.after !== this.#savedAfter) this.#changes += 1;
  }

  /** Saves; where the disk refuses, again and again until `signals.graceful`. */
  async commit(signals: ShutdownSignals): Promise<void> {
    const { sink, emit, random } = this.#options;
    let sinceMs: number | undefined;
    const { kind } = await retryUntilSettled<Retry | { kind: 'saved' }>(
      async () => {
        try {
          await this.#save();
          return { kind: 'saved' };
        } catch (error) {
          this.#trouble = `the checkpoint can't be written: ${(error as Error).message}`;
          return { kind: 'retry', reason: 'server', detail: this.#trouble };
        }
      },
      {
        firstMs: 500,
        longestMs: 10_000,
        random,
        onRetry: ({ detail }, attempt, waitMs) => {
          sinceMs ??= performance.now();
          emit({ event: 'checkpoint.retry', sink, detail, attempt, waitMs });
        },
      },
      signals,
    );
    if (kind === 'saved' && sinceMs !== undefined)
      emit({ event: 'checkpoint.recovered', sink, outageMs: Math.round(performance.now() - sinceMs) });
  }

  async #save(): Promise<void> {
    const { sink, source, store, progress, emit, journal } = this.#options;
    if (this.#newest !== undefined) {
      this.#newestSaved = { id: this.#newest.id, sha256: digest(this.#newest.text) };
      this.#newest = undefined;
    }
    const { after, delivered } = progress;
    const changes = this.#changes;
    const kept = journal?.();
    const startedMs = performance.now();
    await store.save({
      sink,
      source,
      after,
      delivered,
      refusedInRow: this.#refusedInRow,
      ...(this.#newestSaved !== undefined && { newest: this.#newestSaved }),
      ...(kept !== undefined && { pendingAcks: kept }),
    });
    this.#saved = changes;
    this.#savedAfter = after;
    this.#trouble = undefined;
    emit({ event: 'checkpoint.saved', sink, after, elapsedMs: performance.now() - startedMs });
  }
}
