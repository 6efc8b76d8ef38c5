import type { Tracer } from '@opentelemetry/api';
import { printable } from '../lib/printable.ts';
import { Health, type Instant } from './health.ts';
import { Heartbeats, type OperationsLog } from './heartbeat/heartbeats.ts';
import { History, sampleEveryMs } from './history.ts';
import { type Listener, startListener } from './http.ts';
import { httpRoutes } from './http-routes.ts';
import { createMetrics } from './metrics.ts';
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
  /** `service.instance.id` of exported metrics and traces. */
  readonly instance: string;
  readonly clock: () => Instant;
  readonly recordOperation: OperationsLog;
  /** How many log lines were dropped since the start. */
  readonly droppedLogLines: () => number;
  /** Takes the events about telemetry itself. */
  readonly emit: Emit;
}

/** The settings that the configuration and the environment lead to. */
export interface TelemetrySettings {
  readonly listen?: { readonly host: string; readonly port: number } | undefined;
  readonly hosts: readonly string[];
  readonly page: boolean;
  readonly otlp: Otlp | undefined;
  /** Settings that cannot be applied; reported each time. */
  readonly problems: readonly string[];
  /** Names of the sinks. */
  readonly sinks: readonly string[];
}

/** Time until a failed `listen` is tried again, milliseconds. */
const listenRetryMs = 10_000;
const shutdownMs = 2_000;
/** Events stored for the metrics while the SDK loads. */
const MAX_PENDING = 10_000;

/**
 * Health, heartbeats, status, metrics and traces. It receives every event, outlives reloads, and cannot stop a pipeline:
 * whatever fails here is reported as `telemetry.failed`.
 */
export class Telemetry implements AsyncDisposable {
  readonly health: Health;
  readonly heartbeats: Heartbeats;
  readonly #options: TelemetryOptions;
  /** Metrics and traces; undefined while there is no SDK. */
  #exported: Emit | undefined;
  /** Set while the SDK loads. */
  #pending: TelemetryEvent[] | undefined;
  #sdk: Promise<Sdk | undefined> = Promise.resolve(undefined);
  #applied = '';
  #sinks: readonly string[] = [];
  #listener: Listener | undefined;
  #socket: AsyncDisposable | undefined;
  readonly #history: History;
  #sampling: NodeJS.Timeout | undefined;
  #listenRetry: NodeJS.Timeout | undefined;
  #listening: Promise<void> = Promise.resolve();

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.health = new Health(options.clock);
    this.#history = new History(this.health);
    this.heartbeats = new Heartbeats(this.health, options.recordOperation);
  }

  handle(event: TelemetryEvent): void {
    this.health.handle(event);
    this.heartbeats.handle(event);
    if (this.#exported !== undefined) this.#exported(event);
    else if (this.#pending !== undefined && this.#pending.length < MAX_PENDING) this.#pending.push(event);
  }

  /** Serves the status at `<directory>/status.sock`. */
  async serve(directory: string): Promise<void> {
    try {
      this.#socket = await serveStatus(directory, () => status(this.health));
    } catch (error) {
      this.#failed(error, 'status.sock');
    }
  }

  /** Applies the settings; what did not change keeps running. */
  async apply(settings: TelemetrySettings): Promise<void> {
    const key = JSON.stringify({ ...settings, sinks: undefined });
    // The SDK keeps exporting the last gauge values of a removed sink, so it is replaced.
    const isSinkRemoved = this.#sinks.some((name) => !settings.sinks.includes(name));
    this.#sinks = settings.sinks;
    if (key === this.#applied && !isSinkRemoved) return;
    await this.#close();
    this.#applied = key;
    for (const detail of settings.problems) this.#options.emit({ event: 'telemetry.failed', detail });
    if (settings.listen === undefined && settings.otlp === undefined) return;
    this.#pending = [];
    this.#sdk = this.#load(settings);
    this.#listening = this.#listen(settings);
    await this.#listening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heartbeats.settled();
    await this.#close();
    await this.#socket?.[Symbol.asyncDispose]();
  }

  /** Runs beside the start of the pipelines, so that the first record does not wait for the SDK. */
  async #load({ listen, otlp }: TelemetrySettings): Promise<Sdk | undefined> {
    const { version, instance, emit, droppedLogLines } = this.#options;
    try {
      const sdk = await startSdk({ version, instance, prometheus: listen !== undefined, otlp, emit });
      const metrics = createMetrics(sdk.meter, this.health, droppedLogLines);
      observeProcess(sdk.meter);
      const traces = sdk.tracer && (await this.#tracing(sdk.tracer));
      this.#exported = (event) => {
        metrics(event);
        traces?.(event);
      };
      for (const event of this.#pending ?? []) this.#exported(event);
      return sdk;
    } catch (error) {
      this.#failed(error, 'OpenTelemetry');
      return undefined;
    } finally {
      this.#pending = undefined;
    }
  }

  async #tracing(tracer: Tracer): Promise<Emit> {
    const { createTracing } = await import('./tracing.ts');
    const { origin, clock } = this.#options;
    return createTracing({ tracer, origin, now: () => clock().epochMs });
  }

  async #listen(settings: TelemetrySettings): Promise<void> {
    const { listen, hosts } = settings;
    if (listen === undefined) return;
    if (settings.page) this.#sampling ??= setInterval(() => this.#history.take(), sampleEveryMs).unref();
    const paths = httpRoutes({
      health: this.health,
      metrics: async () => (await this.#sdk)?.prometheus(),
      page: settings.page ? () => statusPage(status(this.health), (sink) => this.#history.of(sink)) : undefined,
    });
    try {
      this.#listener = await startListener({ ...listen, hosts, paths });
      this.#options.emit({ event: 'telemetry.listening', address: this.#listener.address });
    } catch (error) {
      this.#failed(error, `telemetry.listen ${listen.host}:${listen.port}`);
      this.#listenRetry = setTimeout(() => {
        this.#listening = this.#listen(settings);
      }, listenRetryMs).unref();
    }
  }

  async #close(): Promise<void> {
    clearTimeout(this.#listenRetry);
    clearInterval(this.#sampling);
    this.#sampling = undefined;
    await this.#listening;
    // Set again if that try failed too.
    clearTimeout(this.#listenRetry);
    await this.#listener?.[Symbol.asyncDispose]();
    this.#listener = undefined;
    const sdk = await this.#sdk;
    this.#sdk = Promise.resolve(undefined);
    this.#exported = undefined;
    await sdk?.shutdown(shutdownMs);
  }

  #failed(error: unknown, what: string): void {
    const detail = printable(`${what}: ${error instanceof Error ? error.message : 'failed'}`);
    this.#options.emit({ event: 'telemetry.failed', detail });
  }
}
