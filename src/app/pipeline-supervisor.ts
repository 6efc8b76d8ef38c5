import { retryUntilSettled } from '../lib/backoff.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals, scopeWithGrace } from '../lib/shutdown.ts';
import type { Retry } from '../lib/verdict.ts';
import { SinkGone } from '../pipeline/delivery-queue.ts';
import { Pipeline, type PipelineOptions } from '../pipeline/pipeline.ts';
import type { ResumedBatch } from '../sinks/sink.ts';
import { SourceStop } from '../source/source.ts';
import { CheckpointProblem, StateProblem } from '../state/store.ts';

/** How one pipeline ended. */
export type PipelineOutcome =
  | { readonly sink: string; readonly kind: 'done' }
  /** Its destination is gone for good. */
  | { readonly sink: string; readonly kind: 'failed'; readonly detail: string }
  | { readonly sink: string; readonly kind: 'given-up' }
  /** The source has stopped, which ends all pipelines. */
  | { readonly sink: string; readonly kind: 'source'; readonly error: SourceStop };

/** What the supervisor does with each pipeline. */
export interface PipelineWork {
  /** Default: `Pipeline.open`. */
  readonly open?: (options: PipelineOptions, signals: ShutdownSignals) => Promise<Pipeline | 'given-up' | undefined>;
  /** `isReplaced`: whether the pipeline ends because of a new configuration, not with the program. */
  run(pipeline: Pipeline, signals: ShutdownSignals, isReplaced: () => boolean): Promise<'done' | 'given-up'>;
}

interface Running {
  readonly signals: ReturnType<typeof childScope>;
  /** A reload ends it. */
  isReplaced: boolean;
  readonly isExclusive: boolean;
  /** Fires if a successor takes over while batches are on the wire. */
  readonly handover: AbortController;
  /** Starts once this one has ended, or has handed over what is on the wire. */
  successor: PipelineOptions | undefined;
}

/** Waits between attempts to start a pipeline at a reload, milliseconds. */
const startBackoff = { firstMs: 1_000, longestMs: 60_000 };

/**
 * Pipelines side by side, one per sink; a reload replaces single ones while the others run on. What stops the source, or
 * a bug, ends all of them in good order. A destination that is gone ends its own pipeline only.
 *
 * A pipeline that a reload ends may finish what is on the wire within its sink's own time-outs, beside its successor, which
 * gets the verdicts (see DeliveryQueue); before it, if both would write to one file. When everything ends, so does it, within the grace that all pipelines have.
 *
 * At the first start an unusable state ends the program, because nothing runs yet that could be lost. At a reload the
 * others run: a pipeline that can't start waits and tries again.
 */
export class PipelineSupervisor {
  readonly #all: ReturnType<typeof scopeWithGrace>;
  readonly #work: PipelineWork;
  readonly #running = new Map<string, Running>();
  readonly #outcomes = new Map<string, PipelineOutcome>();
  readonly #ended = Promise.withResolvers<readonly PipelineOutcome[]>();
  readonly #bugs: unknown[] = [];
  /** Pipelines that have handed over and still have something on the wire. */
  #finishing = 0;

  /** `graceMs`: how long what is in flight may take when everything ends, milliseconds. */
  constructor(signals: ShutdownSignals, graceMs: () => number, work: PipelineWork) {
    this.#all = scopeWithGrace(signals, graceMs);
    this.#work = work;
  }

  /** How each pipeline ended, once none runs any more. @throws a bug of one of them */
  get ended(): Promise<readonly PipelineOutcome[]> {
    return this.#ended.promise;
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /** The first start. @throws nothing: see `ended` */
  start(pipelines: readonly PipelineOptions[]): void {
    if (!this.#all.graceful.aborted) for (const options of pipelines) this.#start(options, 'first');
    this.#endIfIdle();
  }

  /**
   * Starts `restarted`, each after the pipeline of the same name has ended, and ends the pipelines that `names` lacks. All
   * others are left alone.
   */
  reconcile(names: ReadonlySet<string>, restarted: readonly PipelineOptions[]): void {
    if (this.#all.graceful.aborted) return;
    for (const options of restarted) {
      const running = this.#running.get(options.name);
      if (running === undefined) this.#start(options, 'reload');
      else replace(running, options);
    }
    for (const [name, running] of this.#running) if (!names.has(name)) replace(running, undefined);
  }

  #start(options: PipelineOptions, when: 'first' | 'reload', inherited?: readonly ResumedBatch[]): void {
    const signals = childScope(this.#all);
    const { graceMs, isExclusive = false } = options;
    const running: Running = {
      ...{ signals, isExclusive, isReplaced: false },
      ...{ handover: new AbortController(), successor: undefined },
    };
    this.#running.set(options.name, running);
    const replaceable = {
      ...options,
      graceMs: () => (running.isReplaced ? Number.POSITIVE_INFINITY : graceMs()),
      handover: { replaced: running.handover.signal, ackGraceMs: graceMs, ...(inherited && { inherited }) },
    };
    void this.#run(replaceable, running, when);
  }

  /** Never rejects: a bug ends all and is kept for `ended`. */
  async #run(options: PipelineOptions, running: Running, when: 'first' | 'reload'): Promise<void> {
    const { name } = options;
    let inherited: readonly ResumedBatch[] = [];
    try {
      const { outcome, pipeline } = await this.#outcome(options, running, when);
      this.#outcomes.set(name, outcome);
      // One that was replaced before it opened passes on what it inherited.
      inherited = pipeline === undefined ? (options.handover?.inherited ?? []) : pipeline.handedOver;
      if (pipeline !== undefined && inherited.length > 0) void this.#finish(pipeline);
      else await pipeline?.[Symbol.asyncDispose]();
    } catch (bug) {
      this.#fail(bug);
    }
    running.signals.end();
    this.#running.delete(name);
    const { successor } = running;
    // Also if everything ends now: someone has to save what the batches on the wire turn out to be.
    const isNeeded = inherited.length > 0 ? !this.#all.forced.aborted : !this.#all.graceful.aborted;
    if (successor !== undefined && isNeeded) this.#start(successor, 'reload', inherited);
    this.#endIfIdle();
  }

  /** Keeps a pipeline open until what it handed over is off the wire. Never rejects. */
  async #finish(pipeline: Pipeline): Promise<void> {
    this.#finishing += 1;
    try {
      await using _ = pipeline;
      await pipeline.handedOverIsSettled();
    } catch (bug) {
      if (!this.#all.forced.aborted) this.#fail(bug);
    }
    this.#finishing -= 1;
    this.#endIfIdle();
  }

  #fail(bug: unknown): void {
    this.#bugs.push(bug);
    this.#all.end();
  }

  /** Opens and runs a pipeline. If it is returned, it is still to be closed. @throws a bug */
  async #outcome(
    options: PipelineOptions,
    running: Running,
    when: 'first' | 'reload',
  ): Promise<{ readonly outcome: PipelineOutcome; readonly pipeline?: Pipeline }> {
    const { signals } = running;
    const sink = options.name;
    let pipeline: Pipeline | undefined;
    try {
      const opened = await (when === 'first' ? this.#open(options, signals) : this.#openPatiently(options, signals));
      if (opened === undefined) return { outcome: { sink, kind: 'done' } };
      if (opened === 'given-up') return { outcome: { sink, kind: opened } };
      pipeline = opened;
      const isReplaced = () => running.isReplaced && !this.#all.graceful.aborted;
      return { outcome: { sink, kind: await this.#work.run(pipeline, signals, isReplaced) }, pipeline };
    } catch (error) {
      await pipeline?.[Symbol.asyncDispose]();
      if (error instanceof SinkGone) return { outcome: { sink, kind: 'failed', detail: error.message } };
      if (!(error instanceof SourceStop)) throw error;
      this.#all.end();
      return { outcome: { sink, kind: 'source', error } };
    }
  }

  #open(options: PipelineOptions, signals: ShutdownSignals): Promise<Pipeline | 'given-up' | undefined> {
    return (this.#work.open ?? Pipeline.open)(options, signals);
  }

  /** Tries until the state can be used or the pipeline is stopped. */
  async #openPatiently(options: PipelineOptions, signals: ShutdownSignals): Promise<Pipeline | 'given-up' | undefined> {
    const { name: sink, emit, random, wake } = options;
    const startedMs = performance.now();
    let failures = 0;
    const opened = await retryUntilSettled<Retry | { kind: 'opened'; pipeline: Pipeline | 'given-up' | undefined }>(
      async () => {
        try {
          return { kind: 'opened', pipeline: await this.#open(options, signals) };
        } catch (error) {
          if (!isStateError(error)) throw error;
          failures += 1;
          const detail = `the pipeline can't start: ${printable(error.message, 1000)}`;
          return { kind: 'retry', reason: 'server', detail };
        }
      },
      {
        ...startBackoff,
        random,
        wake,
        onRetry: ({ detail }, attempt, waitMs) => emit({ event: 'checkpoint.retry', sink, detail, attempt, waitMs }),
      },
      signals,
    );
    if (opened.kind === 'retry') return undefined;
    if (failures > 0)
      emit({ event: 'checkpoint.recovered', sink, outageMs: Math.round(performance.now() - startedMs) });
    return opened.pipeline;
  }

  #endIfIdle(): void {
    if (this.#running.size > 0 || this.#finishing > 0) return;
    this.#all[Symbol.dispose]();
    if (this.#bugs.length > 0) this.#ended.reject(this.#bugs[0]);
    else this.#ended.resolve([...this.#outcomes.values()]);
  }
}

function replace(running: Running, successor: PipelineOptions | undefined): void {
  running.isReplaced = true;
  running.successor = successor;
  // Two that write to one file would mix their records: there the successor waits.
  if (successor !== undefined && !running.isExclusive) running.handover.abort();
  running.signals.end();
}

/** Whether the state can't be used at the moment: the file system's own errors name the system call. */
export function isStateError(error: unknown): error is Error {
  if (error instanceof CheckpointProblem || error instanceof StateProblem) return true;
  return error instanceof Error && 'syscall' in error;
}
