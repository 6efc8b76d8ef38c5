import type { Tracer } from '@opentelemetry/api';
import { printable } from '../lib/printable.ts';
import { Health, type Instant } from './health.ts';
import { Heartbeats, type OperationsLog } from './heartbeat/heartbeats.ts';
import { History, sampleEveryMs } from './history.ts';
import { type Listener, startListener } from './http.ts';
import { httpRoutes } from './http-routes.ts';
import { createInstruments } from './instruments.ts';
import { observeProcess } from './process-metrics.ts';
import { type Otlp, type Sdk, startSdk } from './sdk.ts';
import { status } from './status.ts';
import { statusPage } from './status-page.ts';
import { serveStatus } from './status-socket.ts';
import type { Emit, TelemetryEvent } from './telemetry-event.ts';

export interface TelemetryOptions {
  readonly version: string;
  /** Origin of the API. */
  readonly origin: string;
  /** Tells instances apart in what is pushed. */
  readonly instance: string;
  readonly clock: () => Instant;
  readonly journal: OperationsLog;
  /** Where what happens to telemetry itself is told. */
  readonly emit: Emit;
}

/** What the configuration wants; the environment is read already. */
export interface Wanted {
  readonly listen?: { readonly host: string; readonly port: number } | undefined;
  readonly hosts: readonly string[];
  readonly page: boolean;
  readonly otlp: Otlp | undefined;
  /** What of it can't be done; said each time it is put in force. */
  readonly problems: readonly string[];
  /** Sinks that are told of. */
  readonly sinks: readonly string[];
}

/** A listener that could not be had is tried again after this, milliseconds. */
const againMs = 10_000;
const shutdownMs = 2_000;
/** Happenings kept for the instruments while the SDK loads. */
const mostPending = 10_000;

/** All that tells how the program fares, but for the log. It outlives a reload; nothing of it can stop a route. */
export class Telemetry implements AsyncDisposable {
  readonly health: Health;
  readonly feeds: Heartbeats;
  readonly #options: TelemetryOptions;
  #instruments: Emit | undefined;
  #pending: TelemetryEvent[] | undefined;
  #sdk: Promise<Sdk | undefined> = Promise.resolve(undefined);
  #wanted = '';
  #sinks: readonly string[] = [];
  #listener: Listener | undefined;
  #socket: AsyncDisposable | undefined;
  readonly #history: History;
  #sampling: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.health = new Health(options.clock);
    this.#history = new History(this.health);
    this.feeds = new Heartbeats(this.health, options.journal);
  }

  handle(happening: TelemetryEvent): void {
    this.health.handle(happening);
    this.feeds.handle(happening);
    if (this.#instruments !== undefined) this.#instruments(happening);
    else if (this.#pending !== undefined && this.#pending.length < mostPending) this.#pending.push(happening);
  }

  /** Answers at `<directory>/status.sock`; where that can't be, it is said and all else goes on. */
  async serve(directory: string): Promise<void> {
    try {
      this.#socket = await serveStatus(directory, () => status(this.health));
    } catch (error) {
      this.#failed(error, 'status.sock');
    }
  }

  /** Puts in force what the configuration says; what is the same stays as it is. */
  async apply(wanted: Wanted): Promise<void> {
    const key = JSON.stringify({ ...wanted, sinks: undefined });
    // The SDK goes on telling the last value of what is observed no more: a sink that is gone needs a new one.
    const lost = this.#sinks.some((name) => !wanted.sinks.includes(name));
    this.#sinks = wanted.sinks;
    if (key === this.#wanted && !lost) return;
    await this.#close();
    this.#wanted = key;
    for (const detail of wanted.problems) this.#options.emit({ event: 'telemetry.failed', detail });
    if (wanted.listen === undefined && wanted.otlp === undefined) return;
    this.#pending = [];
    this.#sdk = this.#load(wanted);
    await this.#listen(wanted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.feeds.settled();
    await this.#close();
    await this.#socket?.[Symbol.asyncDispose]();
  }

  /** Loaded beside the start of the routes: it must not hold up the first record. */
  async #load({ listen, otlp }: Wanted): Promise<Sdk | undefined> {
    const { version, instance, emit } = this.#options;
    try {
      const sdk = await startSdk({ version, instance, prometheus: listen !== undefined, otlp, emit });
      const move = createInstruments(sdk.meter, this.health);
      observeProcess(sdk.meter);
      const draw = sdk.tracer && (await this.#traces(sdk.tracer));
      this.#instruments = (happening) => {
        move(happening);
        draw?.(happening);
      };
      for (const happening of this.#pending ?? []) this.#instruments(happening);
      return sdk;
    } catch (error) {
      this.#failed(error, 'OpenTelemetry');
      return undefined;
    } finally {
      this.#pending = undefined;
    }
  }

  async #traces(tracer: Tracer): Promise<Emit> {
    const { createTraces } = await import('./traces.ts');
    const { origin, clock } = this.#options;
    return createTraces({ tracer, origin, now: () => clock().epochMs });
  }

  async #listen(wanted: Wanted): Promise<void> {
    const { listen, hosts } = wanted;
    if (listen === undefined) return;
    if (wanted.page) this.#sampling ??= setInterval(() => this.#history.take(), sampleEveryMs).unref();
    const paths = httpRoutes({
      health: this.health,
      metrics: async () => (await this.#sdk)?.prometheus(),
      page: wanted.page ? () => statusPage(status(this.health), (sink) => this.#history.of(sink)) : undefined,
    });
    try {
      this.#listener = await startListener({ ...listen, hosts, paths });
      this.#options.emit({ event: 'telemetry.listening', address: this.#listener.address });
    } catch (error) {
      this.#failed(error, `telemetry.listen ${listen.host}:${listen.port}`);
      this.#again = setTimeout(() => void this.#listen(wanted), againMs).unref();
    }
  }

  async #close(): Promise<void> {
    clearTimeout(this.#again);
    clearInterval(this.#sampling);
    this.#sampling = undefined;
    await this.#listener?.[Symbol.asyncDispose]();
    this.#listener = undefined;
    const sdk = await this.#sdk;
    this.#sdk = Promise.resolve(undefined);
    this.#instruments = undefined;
    await sdk?.shutdown(shutdownMs);
  }

  #failed(error: unknown, what: string): void {
    const detail = printable(`${what}: ${error instanceof Error ? error.message : 'failed'}`);
    this.#options.emit({ event: 'telemetry.failed', detail });
  }
}
