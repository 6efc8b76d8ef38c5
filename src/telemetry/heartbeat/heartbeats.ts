import type { StatusRecordEvent } from '../../event/status-record.ts';
import type { ShutdownSignals } from '../../lib/shutdown.ts';
import type { Health } from '../health.ts';
import type { TelemetryEvent } from '../telemetry-event.ts';
import { Heartbeat, type SendStatus } from './heartbeat.ts';
import { type Addressed, StatusRecords } from './status-records.ts';

/** Appends one line to the operations log, for auditors; emits a warning if it cannot. Never rejects. */
export type OperationsLog = (entry: { readonly event: string; readonly [more: string]: unknown }) => Promise<void>;

/** The heartbeats of all sinks that have one, and the operations log, which gets every record except heartbeats. */
export class Heartbeats {
  readonly #health: Health;
  readonly #records: StatusRecords;
  readonly #recordOperation: OperationsLog;
  readonly #heartbeats = new Map<string, Heartbeat>();
  /** Writes to the operations log, one after the other. */
  #writing: Promise<void> = Promise.resolve();

  constructor(health: Health, recordOperation: OperationsLog) {
    this.#health = health;
    this.#records = new StatusRecords(health);
    this.#recordOperation = recordOperation;
  }

  /** Whether any sink has a heartbeat. */
  get any(): boolean {
    return this.#heartbeats.size > 0;
  }

  /** Sets which sinks have a heartbeat, and its interval, milliseconds. */
  apply(sinks: readonly { readonly name: string; readonly heartbeatMs: number | undefined }[]): void {
    const names = new Set(sinks.filter(({ heartbeatMs }) => heartbeatMs !== undefined).map(({ name }) => name));
    for (const name of this.#heartbeats.keys()) if (!names.has(name)) this.#heartbeats.delete(name);
    for (const { name, heartbeatMs } of sinks) {
      if (heartbeatMs === undefined) continue;
      const heartbeat =
        this.#heartbeats.get(name) ?? new Heartbeat({ sink: name, health: this.#health, records: this.#records });
      heartbeat.everyMs = heartbeatMs;
      this.#heartbeats.set(name, heartbeat);
    }
  }

  /** Call it after `health` has handled the same event. */
  handle(event: TelemetryEvent): void {
    for (const addressed of this.#records.handle(event)) this.#send(addressed);
    for (const heartbeat of this.#heartbeats.values()) heartbeat.handle(event);
  }

  /** Sends a record to one sink, or to all. `isLogged`: the operations log has it already. */
  announce(
    event: StatusRecordEvent,
    members: Readonly<Record<string, unknown>>,
    { sink, isLogged = false }: { sink?: string; isLogged?: boolean },
  ): void {
    const record = this.#records.record(event, members);
    this.#send({ ...(sink !== undefined && { sink }), record }, !isLogged);
  }

  /** Sends the records of `sink` until `signals.graceful`. */
  async run(sink: string, sendStatus: SendStatus, signals: ShutdownSignals): Promise<void> {
    await this.#heartbeats.get(sink)?.run(sendStatus, signals);
  }

  /** Sends `forwarder.stopped` to `sink` before it closes. */
  async finish(
    sink: string,
    sendStatus: SendStatus,
    signals: ShutdownSignals,
    members: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#heartbeats.get(sink)?.finish(this.#records.record('forwarder.stopped', members), sendStatus, signals);
  }

  /** Resolves when the operations log has every record so far. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Appends to the operations log only. */
  log(entry: Parameters<OperationsLog>[0]): void {
    this.#writing = this.#writing.then(() => this.#recordOperation(entry));
  }

  #send({ sink, record }: Addressed, isLogged = true): void {
    for (const [name, heartbeat] of this.#heartbeats) if (sink === undefined || sink === name) heartbeat.push(record);
    if (isLogged) this.log({ event: record.event, ...record.members });
  }
}
