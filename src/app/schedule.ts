import { createTask, type Logger, type ScheduledTask } from 'node-cron';
import { Notifier } from '../lib/notifier.ts';
import type { Ticks } from '../pipeline/pipeline.ts';

/** node-cron would write to standard output, between the records. */
const silent: Logger = { info() {}, warn() {}, error() {}, debug() {} };

/** The wall clock is read at least this often, milliseconds: a timer does not notice when it jumps. */
const maxWaitMs = 5_000;
/** What the wall clock must lose against the monotonic one to count as set back, milliseconds. */
const setBackMs = 1_000;

/**
 * A cron schedule as ticks. The first tick comes at once; a pipeline that is busy gets only the latest, so polls never
 * overlap. Times of day are UTC.
 *
 * node-cron only computes the next time. Its own runner, after a jump forward, visits every slot it missed, which blocks
 * the event loop for seconds to minutes, and after a jump back it waits until the old time comes again. Here a jump
 * forward makes one tick, and after a jump back the next time is computed from the new clock.
 */
export class CronSchedule implements Ticks, Disposable {
  #task: ScheduledTask;
  #dueMs: number;
  #aheadMs = wallAheadMs();
  #timer: NodeJS.Timeout | undefined;
  readonly #ticked = new Notifier();
  #latestMs = performance.now();

  constructor(schedule: string) {
    this.#task = parse(schedule);
    this.#dueMs = nextMs(this.#task);
    this.#wait();
  }

  change(schedule: string): void {
    this.#task = parse(schedule);
    this.#dueMs = nextMs(this.#task);
    this.#wait();
  }

  /** A tick out of turn. */
  fire(): void {
    this.#latestMs = performance.now();
    this.#ticked.notify();
  }

  async next(last: number, stop: AbortSignal): Promise<number | undefined> {
    while (!stop.aborted) {
      if (this.#latestMs > last) return this.#latestMs;
      await this.#ticked.wait(stop);
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const waitMs = Math.max(1, Math.min(this.#dueMs - Date.now(), maxWaitMs));
    this.#timer = setTimeout(() => this.#look(), waitMs);
  }

  #look(): void {
    const aheadMs = wallAheadMs();
    const isDue = Date.now() >= this.#dueMs;
    if (isDue || aheadMs < this.#aheadMs - setBackMs) this.#dueMs = nextMs(this.#task);
    this.#aheadMs = aheadMs;
    if (isDue) this.fire();
    this.#wait();
  }
}

const wallAheadMs = () => Date.now() - performance.now();

/** The task is never started, so it holds no timer. */
const parse = (schedule: string) =>
  createTask(schedule, () => {}, { timezone: 'UTC', logger: silent, suppressMissedWarning: true });

const nextMs = (task: ScheduledTask) => task.getNextRuns(1)[0]?.getTime() ?? Number.POSITIVE_INFINITY;

/** The longest time between two of the next runs of `schedule`, milliseconds. */
export function longestIntervalMs(schedule: string): number {
  const runs = parse(schedule)
    .getNextRuns(50)
    .map((run) => run.getTime());
  return Math.max(0, ...runs.slice(1).map((run, index) => run - (runs[index] ?? run)));
}
