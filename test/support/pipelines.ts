import { type AuditEvent, auditEvent, type Cursor } from '../../src/event/event.ts';
import { idsOf } from '../../src/event/id-ranges.ts';
import { jsonFormat } from '../../src/format/json.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { Pipeline, type PipelineOptions } from '../../src/pipeline/pipeline.ts';
import type { Page, Source } from '../../src/source/source.ts';
import { print } from '../../src/state/checkpoint-text.ts';
import { MemoryStore as StateInMemory } from '../../src/state/memory.ts';
import type { Checkpoint } from '../../src/state/store.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { ScriptedSink } from './scripted-sink.ts';

const settleMs = 60_000;
const origin = 'https://acme.eu1.qasphere.com';

export interface Row {
  readonly id: number;
  readonly createdAtMs: number;
  readonly visibleMs: number;
  /** Default: x. */
  readonly action?: string;
}

/** A log whose clock the test moves; counts the requests. */
export class Log implements Source {
  nowMs = 1_000_000_000_000;
  requests = 0;
  receivedAtMs = 0;
  pageSize = 1000;
  readonly rows: Row[] = [];
  readonly lastError = undefined;

  async page(after: Cursor): Promise<Page> {
    this.requests += 1;
    const rows = this.rows
      .filter(({ id, visibleMs }) => BigInt(id) > after && visibleMs <= this.nowMs)
      .slice(0, this.pageSize);
    const moment = { monotonicMs: this.nowMs, serverMs: this.nowMs };
    return { after, events: rows.map((row) => toEvent(row, this.receivedAtMs)), asked: moment, answered: moment };
  }
  async peek(after: Cursor): Promise<Page> {
    const page = await this.page(after);
    return { ...page, events: page.events.slice(0, 1) };
  }
}

function toEvent({ id, createdAtMs, action = 'x' }: Row, receivedAtMs: number): AuditEvent {
  const value = { id, action, createdAt: new Date(createdAtMs).toISOString() };
  return auditEvent({ id: BigInt(id), text: Buffer.from(JSON.stringify(value)), value, receivedAtMs });
}

/** State in memory on a disk that can be full. */
export class MemoryStore extends StateInMemory {
  last: Checkpoint | undefined;
  largestBytes = 0;
  isFull = false;
  constructor() {
    super({ name: 'acme', origin }, () => 0);
  }
  override async save(checkpoint: Checkpoint): Promise<void> {
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    await super.save(checkpoint);
    this.last = checkpoint;
    this.largestBytes = Math.max(this.largestBytes, print(checkpoint, new Date(0).toISOString()).length);
  }
  /** Ids that the last checkpoint counts as done, of a log whose ids start at 1. */
  done(): bigint[] {
    const { after = 0n, delivered = [] } = this.last ?? {};
    return idsOf([...(after > 0n ? [[1n, after] as const] : []), ...delivered]);
  }
}

/** A pipeline over `log`, settle a minute, with polls triggered by the test; `special` overrides the default options. */
export async function startPipeline(log: Log, store: MemoryStore, special: Partial<PipelineOptions> = {}) {
  const sink = Object.assign(new ScriptedSink(), { limits: { maxEvents: 1000, maxBytes: 1e9 } });
  const events: TelemetryEvent[] = [];
  const stop = new AbortController();
  const signals = { graceful: stop.signal, forced: new AbortController().signal };
  const pipeline = await Pipeline.open(
    {
      name: 'test',
      origin,
      source: log,
      store,
      deadLetter: store.deadLetters('test'),
      settleMs,
      pageSize: 1000,
      startAt: { kind: 'beginning' },
      emit: (event) => events.push(event),
      now: () => log.nowMs,
      random: () => 0,
      wake: new Notifier(),
      graceMs: () => 60_000,
      format: jsonFormat({ tenant: 'acme', version: '1' }),
      wants: () => true,
      redact: (event) => event,
      openSink: () => sink,
      ...special,
    },
    signals,
  );
  if (pipeline === undefined) throw new Error('the pipeline was not opened');
  const poll = () => pipeline.once(log.nowMs, signals);
  return { pipeline, sink, events, poll, signals, stop };
}
