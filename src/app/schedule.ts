import { createTask, type Logger } from 'node-cron';
import { Notifier } from '../lib/notifier.ts';
import type { Ticks } from '../pipeline/ticks.ts';

/** node-cron would write to the console, and so among the records. */
const quiet: Logger = { info() {}, warn() {}, error() {}, debug() {} };

/** How often the wall clock is compared with the monotonic one, and what it must have lost to have been set back, milliseconds. */
const lookEveryMs = 5_000;
const setBackMs = 1_000;

/**
 * node-cron's schedule as ticks; the first comes at once. A route that is still busy with an earlier tick gets only the
 * latest, so polls never overlap. Times of day are UTC.
 */
export class CronSchedule implements Ticks, AsyncDisposable {
  #task;
  readonly #came = new Notifier();
  #latestMs = performance.now();
  #aheadMs = wallAheadMs();
  readonly #watch = setInterval(() => this.#lookAtClock(), lookEveryMs).unref();

  constructor(schedule: string) {
    this.#task = this.#start(schedule);
  }

  /** Goes on by another schedule. */
  async change(schedule: string): Promise<void> {
    const before = this.#task;
    this.#task = this.#start(schedule);
    await before.destroy();
  }

  #start(schedule: string) {
    const task = createTask(schedule, () => this.#onTime(), {
      timezone: 'UTC',
      logger: quiet,
      suppressMissedWarning: true,
    });
    void task.start();
    return task;
  }

  /** A tick out of turn. */
  fire(): void {
    this.#latestMs = performance.now();
    this.#came.notify();
  }

  async next(last: number, stop: AbortSignal): Promise<number | undefined> {
    while (!stop.aborted) {
      if (this.#latestMs > last) return this.#latestMs;
      await this.#came.wait(stop);
    }
    return undefined;
  }

  /** Also sees a clock that was set forward: being set right again is to be set back. */
  #onTime(): void {
    this.#aheadMs = Math.max(this.#aheadMs, wallAheadMs());
    this.fire();
  }

  /** node-cron waits for a time of day: a clock that is set back would keep it waiting until that comes again. */
  #lookAtClock(): void {
    const aheadMs = wallAheadMs();
    const wasSetBack = aheadMs < this.#aheadMs - setBackMs;
    this.#aheadMs = aheadMs;
    if (!wasSetBack) return;
    void this.#task.stop();
    void this.#task.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watch);
    await this.#task.destroy();
  }
}

const wallAheadMs = () => Date.now() - performance.now();

/** The longest time between two of the next runs of `schedule`, milliseconds. */
export function longestIntervalMs(schedule: string): number {
  const task = createTask(schedule, () => {}, { timezone: 'UTC', logger: quiet, suppressMissedWarning: true });
  const runs = task.getNextRuns(50).map((run) => run.getTime());
  void task.destroy();
  return Math.max(0, ...runs.slice(1).map((run, index) => run - (runs[index] ?? run)));
}
