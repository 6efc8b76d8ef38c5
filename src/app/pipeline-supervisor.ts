import { type Life, within } from '../lib/shutdown.ts';
import type { Route, RouteOptions } from '../pipeline/pipeline.ts';
import { type Ending, runRoute } from './run-all.ts';

/** `isChanging`: whether the route ends for another configuration, and not for good. */
export type LiveWork = (route: Route, life: Life, isChanging: () => boolean) => Promise<'done'>;

interface Running {
  readonly life: ReturnType<typeof within>;
  /** It was told to end because of a change. */
  changing: boolean;
  /** What comes once it has ended. */
  next: RouteOptions | undefined;
}

/** Routes side by side, one a sink, of which single ones can be exchanged while the others go on. */
export class LiveRoutes {
  readonly #all: ReturnType<typeof within>;
  readonly #work: LiveWork;
  readonly #running = new Map<string, Running>();
  readonly #endings = new Map<string, Ending>();
  readonly #over = Promise.withResolvers<Ending[]>();
  readonly #bugs: unknown[] = [];

  constructor(life: Life, work: LiveWork) {
    this.#all = within(life);
    this.#work = work;
  }

  /**
   * How each ended, once none runs any more. What ends the source ends all of them, in good order; so does a bug.
   * @throws a bug, once every route has ended
   */
  get ended(): Promise<Ending[]> {
    return this.#over.promise;
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /**
   * Those of `anew` begin, or take the place of the one of their name once that has what is in flight confirmed (or its
   * grace is over); those that `names` lacks end. All others are left alone.
   */
  want(names: ReadonlySet<string>, anew: readonly RouteOptions[]): void {
    if (this.#all.stop.aborted) return;
    for (const options of anew) {
      const running = this.#running.get(options.name);
      if (running === undefined) this.#begin(options);
      else change(running, options);
    }
    for (const [name, running] of this.#running) if (!names.has(name)) change(running, undefined);
  }

  #begin(options: RouteOptions): void {
    const running: Running = { life: within(this.#all), changing: false, next: undefined };
    this.#running.set(options.name, running);
    void this.#run(options, running);
  }

  /** Never rejects. */
  async #run(options: RouteOptions, running: Running): Promise<void> {
    const { name } = options;
    try {
      const isChanging = () => running.changing && !this.#all.stop.aborted;
      const work = async (route: Route, life: Life) => this.#work(route, life, isChanging);
      this.#endings.set(name, await runRoute(options, running.life, this.#all.end, work));
    } catch (bug) {
      this.#bugs.push(bug);
    }
    running.life.end();
    this.#running.delete(name);
    if (running.next !== undefined && !this.#all.stop.aborted) this.#begin(running.next);
    if (this.#running.size > 0) return;
    this.#all.end();
    if (this.#bugs.length > 0) this.#over.reject(this.#bugs[0]);
    else this.#over.resolve([...this.#endings.values()]);
  }
}

function change(running: Running, next: RouteOptions | undefined): void {
  running.changing = true;
  running.next = next;
  running.life.end();
}
