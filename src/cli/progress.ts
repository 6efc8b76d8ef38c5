import type { Cursor } from '../event/event.ts';
import { span } from '../telemetry/status-text.ts';
import type { Emit, TelemetryEvent } from '../telemetry/telemetry-event.ts';
import type { CliContext } from './command.ts';

const redrawMs = 200;
const barWidth = 20;
const logMs = 10_000;
/** Before so much of the way no time is foretold. */
const leastShare = 0.005;

interface SinkProgress {
  events: number;
  last: Cursor;
  /** `createdAt` of the first and of the last event delivered, epoch milliseconds. */
  firstAtMs: number | undefined;
  reachedAtMs: number | undefined;
}

export interface ProgressOptions {
  /** The ids of the whole way, where they are known; else its share is told by the dates of the events. */
  readonly range?: { readonly after: Cursor; readonly until: Cursor } | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** How far a drain has come: one line redrawn on a terminal, a log line every 10 s elsewhere. */
export class Progress implements Disposable {
  readonly #terminal: boolean;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #sinks = new Map<string, SinkProgress>();
  #log: Emit = () => {};
  #drawn = false;

  constructor({ stderrIsTerminal }: Pick<CliContext, 'stderrIsTerminal'>, options: ProgressOptions = {}) {
    this.#terminal = stderrIsTerminal;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#startMs = this.#now();
    this.#timer = setInterval(() => this.#tell(), stderrIsTerminal ? redrawMs : logMs);
  }

  logWith(emit: Emit): void {
    this.#log = emit;
  }

  emit(h: TelemetryEvent): void {
    if (h.event !== 'pipeline.delivered') return;
    const known = this.#sinks.get(h.sink);
    const sink = known ?? { events: 0, last: h.last, firstAtMs: h.lastAtMs, reachedAtMs: h.lastAtMs };
    sink.events += h.records;
    sink.last = h.last;
    sink.firstAtMs ??= h.lastAtMs;
    sink.reachedAtMs = h.lastAtMs ?? sink.reachedAtMs;
    this.#sinks.set(h.sink, sink);
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

  #tell(): void {
    if (this.#sinks.size === 0) return;
    if (this.#terminal) {
      process.stderr.write(`\r\u001b[K${this.line((process.stderr.columns || 80) - 1)}`);
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

  /** How much of the way is done, 0 to 1; undefined where nobody can tell. */
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
    if (share === undefined || share < leastShare) return undefined;
    return ((this.#now() - this.#startMs) / 1000) * (1 / share - 1);
  }

  #perSecond({ events }: SinkProgress): number {
    return events / Math.max(0.001, (this.#now() - this.#startMs) / 1000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#drawn) process.stderr.write('\r\u001b[K');
  }
}

const clamp = (share: number) => Math.min(1, Math.max(0, share));

function bar(share: number): string {
  const filled = Math.round(share * barWidth);
  return `[${'#'.repeat(filled).padEnd(barWidth, '.')}] ${Math.round(share * 100)}%`;
}
