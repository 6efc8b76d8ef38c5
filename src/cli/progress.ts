import type { Cursor } from '../core/event.ts';
import type { Happening, Observe } from '../core/happening.ts';
import type { Surroundings } from './command.ts';

const redrawMs = 200;
const barWidth = 20;
const logMs = 10_000;

/** How far a drain has come: one line redrawn on a terminal, a log line every 10 s elsewhere. */
export class Progress implements Disposable {
  readonly #around: Pick<Surroundings, 'stderrIsTerminal'>;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #sinks = new Map<string, number>();
  readonly #range: { readonly after: Cursor; readonly until: Cursor } | undefined;
  #last: Cursor | undefined;
  #log: Observe = () => {};
  #drawn = false;

  /** `range`: the ids of the whole way, where that is known; then its share is shown too. */
  constructor(
    around: Pick<Surroundings, 'stderrIsTerminal'>,
    range?: { readonly after: Cursor; readonly until: Cursor },
  ) {
    this.#around = around;
    this.#range = range;
    this.#timer = setInterval(() => this.#tell(), around.stderrIsTerminal ? redrawMs : logMs);
  }

  logWith(observe: Observe): void {
    this.#log = observe;
  }

  observe(happening: Happening): void {
    // A log line is never written into the drawn one.
    if (this.#drawn && happening.event !== 'route.delivered') this.#wipe();
    if (happening.event !== 'route.delivered') return;
    this.#last = happening.last;
    this.#sinks.set(happening.sink, (this.#sinks.get(happening.sink) ?? 0) + happening.records);
  }

  #tell(): void {
    const seconds = (performance.now() - this.#startMs) / 1000;
    for (const [sink, events] of this.#around.stderrIsTerminal ? [] : this.#sinks)
      this.#log({ event: 'route.progress', sink, events, perSecond: events / seconds });
    if (!this.#around.stderrIsTerminal || this.#sinks.size === 0) return;
    const parts = [...this.#sinks].map(([sink, events]) => `${sink} ${events} (${Math.round(events / seconds)}/s)`);
    process.stderr.write(
      `\r\u001b[K${[...this.#share(), ...parts].join('  ').slice(0, (process.stderr.columns || 80) - 1)}`,
    );
    this.#drawn = true;
  }

  #share(): string[] {
    if (this.#range === undefined || this.#last === undefined) return [];
    const { after, until } = this.#range;
    const percent = Number(((this.#last - after) * 100n) / (until - after || 1n));
    const filled = Math.round((Math.min(100, Math.max(0, percent)) / 100) * barWidth);
    return [`[${'#'.repeat(filled).padEnd(barWidth, '.')}] ${percent}%`];
  }

  #wipe(): void {
    process.stderr.write('\r\u001b[K');
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#drawn) this.#wipe();
  }
}
