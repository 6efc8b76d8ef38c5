import type { Cursor } from '../core/event.ts';
import type { Happening } from '../core/happening.ts';

interface SinkStanding {
  cursor: Cursor;
  /** Events read less those done with, as far as it is known: below 0 while a long read goes on. */
  open: number;
  trouble: string | undefined;
  /** When it last had everything, monotonic milliseconds. */
  wholeAtMs: number;
}

/** What the happenings add up to, as one line for `systemctl status`. */
export class Standing {
  readonly #now: () => number;
  readonly #sinks = new Map<string, SinkStanding>();
  #source: { detail: string; sinceMs: number } | undefined;
  #lastPageMs: number;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#lastPageMs = now();
  }

  observe(h: Happening): void {
    switch (h.event) {
      case 'source.page':
        this.#lastPageMs = this.#now();
        this.#source = undefined;
        return;
      case 'source.retry':
      case 'source.refused':
      case 'source.stopped':
        this.#source ??= { detail: h.detail, sinceMs: this.#lastPageMs };
        return;
      case 'daemon.start':
        for (const name of this.#sinks.keys()) if (!h.sinks.includes(name)) this.#sinks.delete(name);
        return;
    }
    if ('sink' in h) this.#sink(h);
  }

  /** For example `splunk at 4711, lag 0 s; siem at 4700, lag 75 s: connection refused`. */
  status(): string {
    const now = this.#now();
    const parts = [...this.#sinks].map(([name, { cursor, open, trouble, wholeAtMs }]) => {
      const behind = open !== 0 || trouble !== undefined || this.#source !== undefined;
      const lag = behind ? Math.round((now - wholeAtMs) / 1000) : 0;
      return `${name} at ${cursor}, lag ${lag} s${trouble === undefined ? '' : `: ${trouble}`}`;
    });
    const source = this.#source === undefined ? [] : [`no polls: ${this.#source.detail}`];
    const all = [...source, ...parts];
    return all.length === 0 ? 'waiting for the first poll' : all.join('; ');
  }

  #sink(h: Extract<Happening, { sink: string }>): void {
    if (h.event === 'route.start') {
      const before = this.#sinks.get(h.sink);
      const wholeAtMs = before?.wholeAtMs ?? this.#now();
      this.#sinks.set(h.sink, { cursor: h.after, open: 0, trouble: undefined, wholeAtMs });
      return;
    }
    const sink = this.#sinks.get(h.sink);
    if (sink === undefined) return;
    switch (h.event) {
      case 'route.poll':
        sink.open += h.fresh;
        break;
      case 'route.delivered':
        sink.open -= h.records;
        sink.trouble = undefined;
        break;
      case 'route.filtered':
        sink.open -= h.events;
        break;
      case 'route.set_aside':
        sink.open -= 1;
        break;
      case 'checkpoint.saved':
        sink.cursor = h.after;
        break;
      case 'route.retry':
      case 'route.parked':
      case 'checkpoint.retry':
        sink.trouble = h.detail;
        break;
      case 'route.recovered':
      case 'route.unparked':
        sink.trouble = undefined;
        break;
    }
    if (sink.open === 0 && sink.trouble === undefined) sink.wholeAtMs = this.#now();
  }
}
