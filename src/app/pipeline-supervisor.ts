import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { Pipeline, PipelineOptions } from '../pipeline/pipeline.ts';
import { type PipelineOutcome, runPipeline } from './run-all.ts';

/** `isChanging`: whether the route ends for another configuration, and not for good. */
export type PipelineWork = (route: Pipeline, signals: ShutdownSignals, isChanging: () => boolean) => Promise<'done'>;

interface Running {
  readonly signals: ReturnType<typeof childScope>;
  /** It was told to end because of a change. */
  changing: boolean;
  /** What comes once it has ended. */
  next: PipelineOptions | undefined;
}

/** Routes side by side, one a sink, of which single ones can be exchanged while the others go on. */
export class PipelineSupervisor {
  readonly #all: ReturnType<typeof childScope>;
  readonly #work: PipelineWork;
  readonly #running = new Map<string, Running>();
  readonly #endings = new Map<string, PipelineOutcome>();
  readonly #over = Promise.withResolvers<PipelineOutcome[]>();
  readonly #bugs: unknown[] = [];

  constructor(signals: ShutdownSignals, work: PipelineWork) {
    this.#all = childScope(signals);
    this.#work = work;
  }

  /**
   * How each ended, once none runs any more. What ends the source ends all of them, in good order; so does a bug.
   * @throws a bug, once every route has ended
   */
  get ended(): Promise<PipelineOutcome[]> {
    return this.#over.promise;
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /**
   * Those of `anew` begin, or take the place of the one of their name once that has what is in flight confirmed (or its
   * grace is over); those that `names` lacks end. All others are left alone.
   */
  want(names: ReadonlySet<string>, restarted: readonly PipelineOptions[]): void {
    if (this.#all.graceful.aborted) return;
    for (const options of restarted) {
      const running = this.#running.get(options.name);
      if (running === undefined) this.#begin(options);
      else change(running, options);
    }
    for (const [name, running] of this.#running) if (!names.has(name)) change(running, undefined);
  }

  #begin(options: PipelineOptions): void {
    const running: Running = { signals: childScope(this.#all), changing: false, next: undefined };
    this.#running.set(options.name, running);
    void this.#run(options, running);
  }

  /** Never rejects. */
  async #run(options: PipelineOptions, running: Running): Promise<void> {
    const { name } = options;
    try {
      const isChanging = () => running.changing && !this.#all.graceful.aborted;
      const work = async (route: Pipeline, signals: ShutdownSignals) => this.#work(route, signals, isChanging);
      this.#endings.set(name, await runPipeline(options, running.signals, this.#all.end, work));
    } catch (bug) {
      this.#bugs.push(bug);
    }
    running.signals.end();
    this.#running.delete(name);
    if (running.next !== undefined && !this.#all.graceful.aborted) this.#begin(running.next);
    if (this.#running.size > 0) return;
    this.#all.end();
    if (this.#bugs.length > 0) this.#over.reject(this.#bugs[0]);
    else this.#over.resolve([...this.#endings.values()]);
  }
}

function change(running: Running, next: PipelineOptions | undefined): void {
  running.changing = true;
  running.next = next;
  running.signals.end();
}
