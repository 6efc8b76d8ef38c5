import type { Meter, Tracer } from '@opentelemetry/api';
import { printable } from '../lib/printable.ts';
import type { Emit } from './telemetry-event.ts';

export interface SdkOptions {
  readonly version: string;
  /** `service.instance.id`. */
  readonly instance: string;
  /** Whether metrics are collected for `/metrics`. */
  readonly prometheus: boolean;
  /** Export by OTLP over HTTP (protobuf); undefined: no export. */
  readonly otlp: Otlp | undefined;
  readonly emit: Emit;
}

export interface Otlp {
  readonly metrics: boolean;
  readonly traces: boolean;
  /** Base URL of `/v1/metrics` and `/v1/traces`; undefined: the standard variables, else http://localhost:4318. */
  readonly endpoint: string | undefined;
  /** Interval between exports of metrics, milliseconds. */
  readonly intervalMs: number;
  /** The share of traces that is exported, 0 to 1. */
  readonly traceShare: number;
}

/** The parts of the OpenTelemetry SDK that the options ask for. */
export interface Sdk {
  readonly meter: Meter;
  /** Undefined if no traces are exported. */
  readonly tracer: Tracer | undefined;
  /** The metrics in Prometheus's text format. */
  prometheus(): Promise<string>;
  /** Exports what is left, for at most `timeoutMs`. Never rejects. */
  shutdown(timeoutMs: number): Promise<void>;
}

const scope = 'qasphere-siem-forwarder';

/** Loads only the parts of the SDK that are needed; sets nothing global. */
export async function startSdk({ version, instance, prometheus, otlp, emit }: SdkOptions): Promise<Sdk> {
  const [metrics, resources] = await Promise.all([
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/resources'),
  ]);
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
  const resource = resources
    .resourceFromAttributes({
      'service.name': scope,
      'service.version': version,
      'service.instance.id': instance,
      'process.runtime.name': 'nodejs',
      'process.runtime.version': process.versions.node,
      'process.pid': process.pid,
    })
    .merge(
      resources.detectResources({
        detectors: [resources.resourceAttributesEnvDetector, resources.serviceNameEnvDetector],
      }),
    );
  const scrape = prometheus ? await import('@opentelemetry/exporter-prometheus') : undefined;
  const reader =
    scrape &&
    new scrape.PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true, withoutTargetInfo: true });
  const serializer = scrape && new scrape.PrometheusSerializer(undefined, false, undefined, true, true);
  const readers = [...(reader ? [reader] : []), ...(otlp?.metrics ? [await push(otlp, emit)] : [])];
  const meters = new metrics.MeterProvider({ resource, readers });
  const tracers = otlp?.traces ? await traces(otlp, resource, emit) : undefined;
  return {
    meter: meters.getMeter(scope, version),
    tracer: tracers?.getTracer(scope, version),
    async prometheus() {
      if (reader === undefined || serializer === undefined) return '';
      return serializer.serialize((await reader.collect()).resourceMetrics);
    },
    async shutdown(timeoutMs) {
      const all = [meters.shutdown({ timeoutMillis: timeoutMs }), tracers?.shutdown()];
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([Promise.allSettled(all), limit]);
      clearTimeout(timer);
    },
  };
}

async function push({ endpoint, intervalMs }: Otlp, emit: Emit) {
  const [{ PeriodicExportingMetricReader }, { OTLPMetricExporter }] = await Promise.all([
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/exporter-metrics-otlp-proto'),
  ]);
  const exporter = new OTLPMetricExporter(endpoint === undefined ? {} : { url: signalUrl(endpoint, 'metrics') });
  reportFailures(exporter, 'metrics', emit);
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, 30_000),
  });
}

async function traces(
  { endpoint, traceShare }: Otlp,
  resource: import('@opentelemetry/resources').Resource,
  emit: Emit,
) {
  const [{ BatchSpanProcessor, TraceIdRatioBasedSampler, TracerProvider }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const exporter = new OTLPTraceExporter(endpoint === undefined ? {} : { url: signalUrl(endpoint, 'traces') });
  reportFailures(exporter, 'traces', emit);
  return new TracerProvider({
    resource,
    sampler: new TraceIdRatioBasedSampler(traceShare),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
}

/** The URL for a signal (OTLP specification, "Endpoint URLs for OTLP/HTTP"). */
const signalUrl = (endpoint: string, signal: string) => `${endpoint.replace(/\/$/, '')}/v1/${signal}`;

/** Makes `exporter` emit its failures, which the SDK would only write to its own log. */
function reportFailures<Items>(
  exporter: { export(items: Items, done: (result: { code: number; error?: Error }) => void): void },
  signal: 'metrics' | 'traces',
  emit: Emit,
): void {
  const exportItems = exporter.export.bind(exporter);
  let failing = false;
  exporter.export = (items, done) =>
    exportItems(items, (result) => {
      if (result.code !== exportSuccess) {
        failing = true;
        const detail = printable(result.error?.message ?? 'no reason given');
        emit({ event: 'telemetry.export_failed', signal, detail });
      } else if (failing) {
        failing = false;
        emit({ event: 'telemetry.export_recovered', signal });
      }
      done(result);
    });
}

/** `ExportResultCode.SUCCESS` of @opentelemetry/core. */
const exportSuccess = 0;
