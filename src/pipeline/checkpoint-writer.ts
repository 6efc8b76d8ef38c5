import type { AuditEvent, Cursor } from '../event/event.ts';
import type { Notifier } from '../lib/notifier.ts';
import type { ShutdownSignals } from '../lib/shutdown.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Checkpoint, CheckpointStore, NewestEvent } from '../state/store.ts';
import type { HighWaterMark } from './high-water-mark.ts';
import { retryStorage, type StorageContext } from './retry-storage.ts';
import type { Sealer } from './sealer.ts';

interface CheckpointWriterOptions extends StorageContext {
  /** Origin of the tenant. */
  readonly origin: string;
  readonly store: CheckpointStore;
  readonly mark: HighWaterMark;
  readonly pendingAcks: Sink['pendingAcks'];
  readonly last: Checkpoint | undefined;
  readonly sealer?: Sealer | undefined;
  /** Notified when there is something to save, and when it is saved. */
  readonly changed: Notifier;
}

/** How often operations of a person are looked for, milliseconds. */
const operationsMs = 15_000;

/** What a pipeline stores, and when: whatever was recorded is saved before anything else is sent. */
export class CheckpointWriter {
  readonly #options: CheckpointWriterOptions;
  #newest: NewestEvent | undefined;
  #keepsNewest = false;
  #refusedInRow: number;
  /** Changes so far, and those of them that are saved. */
  #changes = 0;
  #saved = 0;
  #lastError: string | undefined;
  #savedAfter: Cursor | undefined;
  #savedNewest: NewestEvent | undefined;
  /** When operations were last looked for, monotonic milliseconds. */
  #lookedMs = performance.now();

  constructor(options: CheckpointWriterOptions) {
    this.#options = options;
    this.#newest = options.last?.newest;
    this.#savedNewest = this.#newest;
    this.#refusedInRow = options.last?.refusedInRow ?? 0;
    this.#savedAfter = options.last?.after;
  }

  /** Something changed that is not saved. */
  get isDirty(): boolean {
    return this.#changes !== this.#saved;
  }
  /** The newest delivered event as of the last save. */
  get newest(): NewestEvent | undefined {
    return this.#savedNewest;
  }
  /** Events rejected alone in a row, without an acceptance between them; counted across restarts. */
  get refusedInRow(): number {
    return this.#refusedInRow;
  }
  /** Why the state can't be written. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  recordDelivered({ id, createdAtMs, action }: AuditEvent): void {
    this.#refusedInRow = 0;
    if (!this.#keepsNewest && id > (this.#newest?.id ?? -1n)) this.#newest = { id, createdAtMs, action };
    this.touch();
  }

  /** Another event has the id of `newest` now. It stays in the checkpoint, so every later check reports it, until `cursor set`. */
  keepNewest(newest: NewestEvent): void {
    this.#keepsNewest = true;
    this.#newest = newest;
    this.touch();
  }

  recordRejected(): void {
    this.#refusedInRow += 1;
    this.touch();
  }

  /** Something else changed: the mark, or the sink's pending acknowledgements. */
  touch(): void {
    this.#changes += 1;
    this.#options.changed.notify();
  }

  /** `after` may have advanced without a delivery, by time alone. */
  touchIfMoved(): void {
    if (this.#options.mark.after !== this.#savedAfter) this.touch();
  }

  /** Saves every change, and seals what is due, until `signals.graceful`. */
  async keepSaved(signals: ShutdownSignals): Promise<void> {
    const { sealer, changed } = this.#options;
    while (!signals.graceful.aborted) {
      if (this.isDirty) await this.save(signals);
      else if (sealer === undefined) await changed.wait(signals.graceful);
      else if (sealer.dueInMs === 0) await this.#seal(sealer, signals);
      else {
        await changed.wait(signals.graceful, Math.min(sealer.dueInMs, operationsMs));
        await this.#lookForOperations(sealer, signals);
      }
    }
  }

  /** Seals the last interval, once everything is saved. `signals.graceful`: no further attempts if the storage fails. */
  async close(signals: ShutdownSignals): Promise<void> {
    const { sealer } = this.#options;
    if (sealer === undefined || this.isDirty) return;
    sealer.stop();
    if (sealer.dueInMs === 0) await this.#seal(sealer, signals);
    await this.save(signals);
  }

  async #lookForOperations(sealer: Sealer, signals: ShutdownSignals): Promise<void> {
    if (performance.now() - this.#lookedMs < operationsMs) return;
    this.#lookedMs = performance.now();
    await this.#write(() => sealer.lookForOperations(), "the operations log can't be read", signals);
  }

  /** Everything is saved. The next interval is saved after its seal. */
  async #seal(sealer: Sealer, signals: ShutdownSignals): Promise<void> {
    if (await this.#write(() => sealer.seal(), "the seal can't be written", signals)) this.touch();
  }

  /** Saves. If the storage fails, it tries again until `signals.graceful`. */
  async save(signals: ShutdownSignals): Promise<void> {
    await this.#write(() => this.#save(), "the checkpoint can't be written", signals);
    this.#options.changed.notify();
  }

  #write(write: () => Promise<void>, failure: string, signals: ShutdownSignals): Promise<boolean> {
    return retryStorage(
      async () => {
        await write();
        this.#lastError = undefined;
      },
      failure,
      this.#options,
      signals,
      (detail) => {
        this.#lastError = detail;
      },
    );
  }

  async #save(): Promise<void> {
    const { sink, origin: source, store, mark, emit, pendingAcks, sealer } = this.#options;
    const { after, delivered } = mark;
    const newest = this.#newest;
    const changes = this.#changes;
    const acks = pendingAcks?.();
    const sealing = sealer?.snapshot(after);
    const startedMs = performance.now();
    const seal = await sealing;
    await store.save({
      sink,
      source,
      after,
      delivered,
      refusedInRow: this.#refusedInRow,
      ...(newest !== undefined && { newest }),
      ...(acks !== undefined && { pendingAcks: acks }),
      ...(seal !== undefined && { seal }),
    });
    sealer?.saved(after);
    this.#saved = changes;
    this.#savedAfter = after;
    this.#savedNewest = newest;
    emit({ event: 'checkpoint.saved', sink, after, elapsedMs: performance.now() - startedMs });
  }
}
