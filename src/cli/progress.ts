import type { Cursor } from '../event/event.ts';
import { span } from '../telemetry/status-text.ts';
import type { Emit, TelemetryEvent } from '../telemetry/telemetry-event.ts';
import type { CliContext } from './command.ts';

const redrawMs = 200;
const barWidth = 20;
const logMs = 10_000;
/** No remaining time is estimated before this share is done. */
const minShare = 0.005;

interface SinkProgress {
  events: number;
  last: Cursor;
  /** `createdAt` of the first and of the last event delivered, epoch milliseconds. */
  firstAtMs: number | undefined;
  reachedAtMs: number | undefined;
}

export interface ProgressOptions {
  /** The ids to deliver, if known; otherwise the events' dates show the share that is done. */
  readonly range?: { readonly after: Cursor; readonly until: Cursor } | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The progress of a drain: one line redrawn on a terminal, elsewhere a log line every 10 s. */
export class Progress implements Disposable {
  readonly #stderr: CliContext['stderr'];
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #sinks = new Map<string, SinkProgress>();
  #log: Emit = () => {};
  #drawn = false;

  constructor({ stderr }: Pick<CliContext, 'stderr'>, options: ProgressOptions = {}) {
    this.#stderr = stderr;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#startMs = this.#now();
    this.#timer = setInterval(() => this.#show(), stderr.isTerminal ? redrawMs : logMs);
  }

  logWith(emit: Emit): void {
    this.#log = emit;
  }

  handle(event: TelemetryEvent): void {
    if (event.event !== 'pipeline.delivered') return;
    const { sink: name, records, last, lastAtMs } = event;
    const sink = this.#sinks.get(name) ?? { events: 0, last, firstAtMs: lastAtMs, reachedAtMs: lastAtMs };
    sink.events += records;
    sink.last = last;
    sink.firstAtMs ??= lastAtMs;
    sink.reachedAtMs = lastAtMs ?? sink.reachedAtMs;
    this.#sinks.set(name, sink);
  }

  /** One line of at most `columns`: a bar, the date reached and the time left for the slowest sink, then each sink. */
  line(columns: number): string {
    const all = [...this.#sinks].map(([name, sink]) => ({ name, sink, share: this.#share(sink) }));
    const slowest = all.toSorted((a, b) => (a.share ?? 0) - (b.share ?? 0))[0];
    if (slowest === undefined) return '';
    const { share, sink } = slowest;
    const left = this.#secondsLeft(share);
    const parts = [
      ...(share === undefined ? [] : [bar(share)]),
      ...(sink.reachedAtMs === undefined ? [] : [`at ${new Date(sink.reachedAtMs).toISOString().slice(0, 16)}Z`]),
      ...(left === undefined ? [] : [`${span(left)} left`]),
      ...all.map(({ name, sink }) => `${name} ${sink.events} (${Math.round(this.#perSecond(sink))}/s)`),
    ];
    return parts.join('  ').slice(0, columns);
  }

  #show(): void {
    if (this.#sinks.size === 0) return;
    if (this.#stderr.isTerminal) {
      this.#stderr.write(`\r\u001b[K${this.line(this.#stderr.columns - 1)}`);
      this.#drawn = true;
      return;
    }
    for (const [name, sink] of this.#sinks) {
      const leftSeconds = this.#secondsLeft(this.#share(sink));
      this.#log({
        event: 'pipeline.progress',
        sink: name,
        events: sink.events,
        perSecond: this.#perSecond(sink),
        ...(sink.reachedAtMs !== undefined && { reached: new Date(sink.reachedAtMs).toISOString() }),
        ...(leftSeconds !== undefined && { leftSeconds: Math.round(leftSeconds) }),
      });
    }
  }

  /** The share that is done, 0 to 1; undefined if unknown. */
  #share({ last, firstAtMs, reachedAtMs }: SinkProgress): number | undefined {
    const { range } = this.#options;
    if (range !== undefined) {
      const whole = range.until - range.after;
      return whole <= 0n ? 1 : clamp(Number(((last - range.after) * 10_000n) / whole) / 10_000);
    }
    if (firstAtMs === undefined || reachedAtMs === undefined) return undefined;
    const wholeMs = this.#now() - firstAtMs;
    return wholeMs <= 0 ? 1 : clamp((reachedAtMs - firstAtMs) / wholeMs);
  }

  #secondsLeft(share: number | undefined): number | undefined {
    if (share === undefined || share < minShare) return undefined;
    return ((this.#now() - this.#startMs) / 1000) * (1 / share - 1);
  }

  #perSecond({ events }: SinkProgress): number {
    return events / Math.max(0.001, (this.#now() - this.#startMs) / 1000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#drawn) this.#stderr.write('\r\u001b[K');
  }
}

const clamp = (share: number) => Math.min(1, Math.max(0, share));

function bar(share: number): string {
  const filled = Math.round(share * barWidth);
  return `[${'#'.repeat(filled).padEnd(barWidth, '.')}] ${Math.round(share * 100)}%`;
}
