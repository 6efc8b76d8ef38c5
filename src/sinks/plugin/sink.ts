import { type Batch, eventValue } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { LoadedOptions } from '../definition.ts';
import { type BatchLimits, exceeds, type Sent, type Sink, type SinkDeps } from '../sink.ts';
import type * as api from './api.ts';
import { Guard, isFailure } from './guard.ts';

const defaultLimits = { maxEvents: 1000, maxBytes: 1024 ** 2 };
const MAX_WINDOW = 1_000;
const MAX_EVENTS = 10_000;
const MAX_BYTES = 64 * 1024 ** 2;

/**
 * The host of a plug-in. It gives the plug-in copies, believes nothing that the plug-in answers (guard.ts), and opens it when it
 * is first needed.
 */
export class PluginSink implements Sink {
  readonly #loaded: LoadedOptions;
  readonly #deps: SinkDeps;
  readonly #guard: Guard;
  #opening: Promise<api.Sink | Verdict> | undefined;
  #sink: api.Sink | undefined;
  #isClosed = false;
  #window = 1;
  #limits: BatchLimits = defaultLimits;

  constructor(loaded: LoadedOptions, deps: SinkDeps) {
    this.#loaded = loaded;
    this.#deps = deps;
    this.#guard = new Guard(loaded.plugin, loaded.secrets, deps);
    // Until another sink of this name takes its place: an error may come after this one was closed.
    deps.strayErrors?.register(deps.name, (error) => this.#guard.claim(error, loaded.origin));
  }

  get window(): number {
    return this.#window;
  }

  get limits(): BatchLimits {
    return this.#limits;
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict | Sent> {
    const sink = await this.#opened(forced);
    if ('kind' in sink) return sink;
    // Composed before the plug-in said what it takes.
    if (exceeds(batch, this.#limits))
      return { kind: 'retry', reason: 'too_large', detail: 'the plug-in takes less at once', narrow: true };
    const records = batch.records.map(({ event, redacted, record }) => ({
      id: String(event.id),
      record: Uint8Array.from(record),
      event: eventValue(redacted),
    }));
    return this.#guard.answer('send', () => sink.send({ records }, forced), records.length, forced);
  }

  async sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict | Sent> {
    const sink = await this.#opened(forced);
    if ('kind' in sink) return sink;
    if (sink.sendStatus === undefined) return accepted;
    const status = { event: record.event, record: Uint8Array.from(Buffer.from(statusRecordText(record))) };
    return this.#guard.answer('sendStatus', () => sink.sendStatus?.(status, forced), 1, forced);
  }

  async probe(forced: AbortSignal): Promise<Verdict> {
    const sink = await this.#opened(forced);
    if ('kind' in sink) return sink;
    if (sink.probe === undefined) return accepted;
    const answer = await this.#guard.answer('probe', () => sink.probe?.(forced), 0, forced);
    return answer.kind === 'sent' ? answer.confirmed : answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#dispose();
  }

  async #dispose(): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink !== undefined) await this.#guard.dispose(() => sink[Symbol.asyncDispose]());
  }

  async #opened(forced: AbortSignal): Promise<api.Sink | Verdict> {
    forced.throwIfAborted();
    if (this.#sink !== undefined) return this.#limited(this.#sink);
    this.#opening ??= this.#open(forced).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(forced: AbortSignal): Promise<api.Sink | Verdict> {
    const { plugin, value } = this.#loaded;
    const { name, tenant, version } = this.#deps;
    const log: api.SinkDeps['log'] = (level, message) => this.#guard.log(level, message);
    const open = () => plugin.open(value(), { name, tenant, version, log });
    // One that opens when its time is over is closed: the next attempt opens another.
    const onLate = (late: api.Sink) => void this.#guard.dispose(() => late[Symbol.asyncDispose]());
    const sink = await this.#guard.call('open', open, forced, onLate);
    if (isFailure(sink)) return sink.verdict;
    const send = this.#guard.read('send', () => sink.value?.send);
    if (isFailure(send)) return send.verdict;
    if (typeof send.value !== 'function') return this.#guard.failed('open returned no sink');
    this.#sink = sink.value;
    if (this.#isClosed) await this.#dispose();
    return this.#limited(sink.value);
  }

  /** The sink, if its window and limits are in order. */
  #limited(sink: api.Sink): api.Sink | Verdict {
    const read = this.#guard.read('window or limits', () => ({ window: sink.window, limits: { ...sink.limits } }));
    if (isFailure(read)) return read.verdict;
    const { window, limits } = read.value;
    const isWhole = (value: unknown, least: number, most: number) =>
      Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
    if (!isWhole(window, 1, MAX_WINDOW)) return this.#guard.failed(`its window is not from 1 to ${MAX_WINDOW}`);
    if (!isWhole(limits.maxEvents, 1, MAX_EVENTS) || !isWhole(limits.maxBytes, 1024, MAX_BYTES))
      return this.#guard.failed(`its limits are not from 1 to ${MAX_EVENTS} events and 1024 to ${MAX_BYTES} bytes`);
    this.#window = window;
    this.#limits = { maxEvents: limits.maxEvents, maxBytes: limits.maxBytes };
    return sink;
  }
}
