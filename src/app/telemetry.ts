import type { Config } from '../config/schema.ts';
import { isLoopback } from '../lib/options/values.ts';
import { printable } from '../lib/printable.ts';
import type { StateStore } from '../state/store.ts';
import type { Otlp } from '../telemetry/sdk.ts';
import { Telemetry, type TelemetrySettings } from '../telemetry/telemetry.ts';
import type { Context } from './context.ts';
import { operationsLog } from './heartbeats.ts';

type Env = Context['env'];

/** Telemetry for one state directory. Nothing is loaded and nothing listens before `apply`. */
export function openTelemetry(ctx: Context, config: Config, store: StateStore): Telemetry {
  const { version, emit, now, droppedLogLines = () => 0 } = ctx;
  const clock = () => ({ epochMs: now(), monotonicMs: performance.now() });
  const { hostname, origin } = new URL(config.source.url);
  const { directory } = config.state;
  const recordOperation = operationsLog(store, emit);
  return new Telemetry({
    version,
    origin,
    instance: `${hostname} ${directory}`,
    clock,
    recordOperation,
    droppedLogLines,
    emit,
  });
}

/** The settings from the block `telemetry` and the standard `OTEL_*` variables. */
export function telemetrySettings({ telemetry, sinks }: Config, env: Env): TelemetrySettings {
  const { listen, hosts, page } = telemetry;
  const otlp = otlpSettings(telemetry.otlp, env);
  const protocol = env['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? 'http/protobuf';
  const problems =
    otlp === undefined || protocol === 'http/protobuf' || protocol === ''
      ? []
      : [`OTEL_EXPORTER_OTLP_PROTOCOL=${printable(protocol, 40)} is not supported: use http/protobuf`];
  const names = sinks.map(({ name }) => name);
  return { listen, hosts, page: page ?? isLoopback(listen?.host ?? ''), otlp, problems, sinks: names };
}

/** OpenTelemetry specification, "Environment Variable Specification". */
function otlpSettings(block: Config['telemetry']['otlp'], env: Env): Otlp | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const isEnabled = (signal: 'METRICS' | 'TRACES') => {
    const exporter = env[`OTEL_${signal}_EXPORTER`];
    if (exporter !== undefined && exporter !== '') return exporter.split(',').includes('otlp');
    return ['', `${signal}_`].some((part) => (env[`OTEL_EXPORTER_OTLP_${part}ENDPOINT`] ?? '') !== '');
  };
  const metrics = block?.metrics ?? isEnabled('METRICS');
  const traces = block?.traces ?? isEnabled('TRACES');
  if (!metrics && !traces) return undefined;
  const intervalMs = block?.interval ?? (Number(env['OTEL_METRIC_EXPORT_INTERVAL']) || 60_000);
  return { metrics, traces, endpoint: block?.endpoint, intervalMs, traceShare: traceShare(env) };
}

/** The share of traces that is exported. Every trace starts here, so parent-based samplers act like their root sampler. */
function traceShare(env: Env): number {
  const sampler = env['OTEL_TRACES_SAMPLER'] ?? '';
  if (sampler.endsWith('always_off')) return 0;
  const share = Number(env['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
  return sampler.endsWith('traceidratio') && share >= 0 && share <= 1 ? share : 1;
}
