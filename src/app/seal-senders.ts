import type { Config } from '../config/schema.ts';
import { backoffMs } from '../lib/backoff.ts';
import { Notifier } from '../lib/notifier.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals, sleep, untilAborted } from '../lib/shutdown.ts';
import type { Verdict } from '../lib/verdict.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { StoredSeal } from '../pipeline/sealer.ts';
import type { Context } from './context.ts';
import { isStateError } from './pipeline-supervisor.ts';

/** Wait before a seal that was not accepted is sent again, milliseconds. */
const retryBackoff = { firstMs: 5_000, longestMs: 60_000 };
/** How long the last seals may take at a stop, milliseconds. */
const finalMs = 1_500;

/** The sinks that get the seals of a sink's pipeline, by name. */
export function sealTargets({ evidence }: Config, sink: string): readonly string[] {
  if (evidence === undefined) return [];
  return [...new Set([...(evidence.inSink ? [sink] : []), ...evidence.also.filter((name) => name !== sink)])];
}

/**
 * Sends the seals of each pipeline to its own sink and to others, in order and each until it is accepted. How far each sink is
 * is part of the pipeline's checkpoint, so what a stop leaves is sent after the next start. Delivery never waits for it.
 */
export class SealSenders {
  readonly #ctx: Pick<Context, 'emit' | 'now' | 'random'>;
  /** The pipelines that run, by the name of their sink. */
  readonly #running = new Map<string, Pipeline>();
  /** Pipelines whose seals are still to be sent, and where to. */
  readonly #sending = new Map<Pipeline, readonly string[]>();
  /** Notified when one of them is done. */
  readonly #sent = new Notifier();

  constructor(ctx: Pick<Context, 'emit' | 'now' | 'random'>) {
    this.#ctx = ctx;
  }

  /** Sends the seals of `pipeline` while `work` runs, and those that its end brings. @throws what `work` throws */
  async run<T>(
    pipeline: Pipeline,
    targets: readonly string[],
    signals: ShutdownSignals,
    work: () => Promise<T>,
  ): Promise<T> {
    this.#running.set(pipeline.name, pipeline);
    this.#sending.set(pipeline, targets);
    const scope = childScope(signals);
    const sending = Promise.all(targets.map((target) => this.#send(pipeline, target, scope)));
    try {
      return await work();
    } finally {
      scope.end();
      await sending;
      await this.#sendRest(pipeline, targets, signals);
      this.#sending.delete(pipeline);
      this.#sent.notify();
      if (!signals.forced.aborted) await this.#othersAreDone(pipeline, signals);
      if (this.#running.get(pipeline.name) === pipeline) this.#running.delete(pipeline.name);
    }
  }

  /** Sends until `signals.graceful`. */
  async #send(pipeline: Pipeline, target: string, { graceful, forced }: ShutdownSignals): Promise<void> {
    let failures = 0;
    while (!graceful.aborted) {
      const changed = pipeline.changed(graceful);
      const failure = await this.#sendAll(pipeline, target, { graceful, forced });
      if (failure === undefined) {
        failures = 0;
        await changed;
      } else {
        failures += 1;
        this.#ctx.emit({ event: 'evidence.unsent', sink: pipeline.name, target, detail: failure });
        await sleep(backoffMs(retryBackoff, failures, this.#ctx.random), graceful);
      }
    }
  }

  /** One attempt for what is left when the pipeline has ended: the seal of its stop is always among it. */
  async #sendRest(pipeline: Pipeline, targets: readonly string[], signals: ShutdownSignals): Promise<void> {
    if (targets.length === 0) return;
    const graceful = AbortSignal.any([signals.forced, AbortSignal.timeout(finalMs)]);
    const limited = { graceful, forced: signals.forced };
    await Promise.all(targets.map((target) => this.#sendAll(pipeline, target, limited)));
    await pipeline.saveRest(signals);
  }

  /** Pipelines that stop at the same time have their last seals sent to this one. */
  async #othersAreDone({ name }: Pipeline, { forced }: ShutdownSignals): Promise<void> {
    const limit = AbortSignal.any([forced, AbortSignal.timeout(finalMs)]);
    const isAwaited = () => [...this.#sending.values()].some((targets) => targets.includes(name));
    while (isAwaited() && !limit.aborted) await this.#sent.wait(limit);
  }

  /** Sends what `target` does not have. @returns what prevents it, one printable line */
  async #sendAll(pipeline: Pipeline, target: string, signals: ShutdownSignals): Promise<string | undefined> {
    try {
      return await this.#sendEach(pipeline, target, signals);
    } catch (error) {
      if (!isStateError(error)) throw error;
      return printable(error.message, 1000);
    }
  }

  async #sendEach(pipeline: Pipeline, target: string, signals: ShutdownSignals): Promise<string | undefined> {
    for await (const seal of pipeline.unsentSeals(target)) {
      if (signals.graceful.aborted) return undefined;
      const destination = this.#running.get(target);
      if (destination === undefined) return `the sink ${target} is not running`;
      const verdict = await untilAborted(signals.graceful, this.#verdictOn(seal, destination, signals.forced));
      // A stop: the seal is sent again after the next start.
      if (verdict === undefined) return undefined;
      if (verdict.kind === 'retry' || verdict.kind === 'stop') return verdict.detail;
      const { seq } = seal.seal;
      if (verdict.kind === 'reject')
        // It would be rejected for ever, and newer ones would wait for it.
        this.#ctx.emit({ event: 'evidence.unsent', sink: pipeline.name, target, detail: verdict.detail });
      else this.#ctx.emit({ event: 'evidence.sent', sink: pipeline.name, target, seq });
      pipeline.recordSealSent(target, seq);
    }
    return undefined;
  }

  async #verdictOn({ seal }: StoredSeal, destination: Pipeline, forced: AbortSignal): Promise<Verdict> {
    const atMs = Date.parse(seal.to.at);
    const record = { event: 'forwarder.sealed', atMs, members: { sink: seal.sink, seal } } as const;
    try {
      const answer = await destination.sendStatus(record, forced);
      return answer.kind === 'sent' ? await answer.confirmed : answer;
    } catch (error) {
      if (!forced.aborted) throw error;
      return { kind: 'retry', reason: 'timeout', detail: 'the stop cut it short' };
    }
  }
}
