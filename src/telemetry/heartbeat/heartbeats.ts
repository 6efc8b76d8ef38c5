import type { StatusRecordEvent } from '../../event/status-record.ts';
import type { ShutdownSignals } from '../../lib/shutdown.ts';
import type { Health } from '../health.ts';
import type { TelemetryEvent } from '../telemetry-event.ts';
import { Heartbeat, type SendStatus } from './heartbeat.ts';
import { type Addressed, StatusRecords } from './status-records.ts';

/** Keeps one line for auditors; where it can't, it says so itself. Never rejects. */
export type OperationsLog = (entry: { readonly event: string; readonly [more: string]: unknown }) => Promise<void>;

/** The feeds of all sinks that want one, and the journal, which gets every note but the heartbeats. */
export class Heartbeats {
  readonly #health: Health;
  readonly #notes: StatusRecords;
  readonly #journal: OperationsLog;
  readonly #feeds = new Map<string, Heartbeat>();
  /** One line after the other. */
  #writing: Promise<void> = Promise.resolve();

  constructor(health: Health, journal: OperationsLog) {
    this.#health = health;
    this.#notes = new StatusRecords(health);
    this.#journal = journal;
  }

  /** Whether any sink gets one. */
  get any(): boolean {
    return this.#feeds.size > 0;
  }

  /** Puts in force which sinks get a feed, and how often a heartbeat, milliseconds. */
  apply(wanted: readonly { readonly name: string; readonly heartbeatMs: number | undefined }[]): void {
    const kept = new Set(wanted.filter(({ heartbeatMs }) => heartbeatMs !== undefined).map(({ name }) => name));
    for (const name of this.#feeds.keys()) if (!kept.has(name)) this.#feeds.delete(name);
    for (const { name, heartbeatMs } of wanted) {
      if (heartbeatMs === undefined) continue;
      const feed = this.#feeds.get(name) ?? new Heartbeat({ sink: name, health: this.#health, notes: this.#notes });
      feed.everyMs = heartbeatMs;
      this.#feeds.set(name, feed);
    }
  }

  /** Call it after `health` has observed the same. */
  handle(h: TelemetryEvent): void {
    for (const addressed of this.#notes.handle(h)) this.#send(addressed);
    for (const feed of this.#feeds.values()) feed.handle(h);
  }

  /** Tells one sink, or all of them. `journal: false`: it stands in the journal already. */
  announce(
    event: StatusRecordEvent,
    members: Readonly<Record<string, unknown>>,
    to: { sink?: string; journal?: boolean },
  ): void {
    const { sink, journal } = to;
    this.#send({ ...(sink !== undefined && { sink }), note: this.#notes.note(event, members) }, journal);
  }

  /** Works beside a route until `signals.graceful`. */
  async run(sink: string, tell: SendStatus, signals: ShutdownSignals): Promise<void> {
    await this.#feeds.get(sink)?.run(tell, signals);
  }

  /** The last word to a sink before it closes. */
  async farewell(
    sink: string,
    tell: SendStatus,
    signals: ShutdownSignals,
    members: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#feeds.get(sink)?.farewell(this.#notes.note('forwarder.stopped', members), tell, signals);
  }

  /** Resolves when what was told so far stands in the journal. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #send({ sink, note }: Addressed, journal = true): void {
    for (const [name, feed] of this.#feeds) if (sink === undefined || sink === name) feed.push(note);
    if (journal) this.journal({ event: note.event, ...note.members });
  }

  /** For the journal alone. */
  journal(entry: Parameters<OperationsLog>[0]): void {
    this.#writing = this.#writing.then(() => this.#journal(entry));
  }
}
