import type { Config } from '../config/schema.ts';
import { isLoopback } from '../lib/options/values.ts';
import { printable } from '../lib/printable.ts';
import type { Otlp } from '../telemetry/sdk.ts';
import { Telemetry, type Wanted } from '../telemetry/telemetry.ts';
import type { Context } from './compose.ts';
import { operationsLog } from './heartbeats.ts';

type Env = Context['env'];

/** Telemetry for one state directory; nothing is loaded or listens before `apply`. */
export function openTelemetry({ version, emit, now }: Context, config: Config): Telemetry {
  const clock = () => ({ epochMs: now(), monotonicMs: performance.now() });
  const { hostname, origin } = new URL(config.source.url);
  const { directory } = config.state;
  const journal = operationsLog(directory, { now, emit });
  return new Telemetry({ version, origin, instance: `${hostname} ${directory}`, clock, journal, emit });
}

/** What the block `telemetry` and the standard `OTEL_*` variables ask for. */
export function wantedTelemetry({ telemetry, sinks }: Config, env: Env): Wanted {
  const { listen, hosts, page } = telemetry;
  const otlp = wantedOtlp(telemetry.otlp, env);
  const protocol = env['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? 'http/protobuf';
  const problems =
    otlp === undefined || protocol === 'http/protobuf' || protocol === ''
      ? []
      : [`OTEL_EXPORTER_OTLP_PROTOCOL=${printable(protocol, 40)} is not spoken here: http/protobuf is`];
  const names = sinks.map(({ name }) => name);
  return { listen, hosts, page: page ?? isLoopback(listen?.host ?? ''), otlp, problems, sinks: names };
}

/** OpenTelemetry specification, "Environment Variable Specification". */
function wantedOtlp(block: Config['telemetry']['otlp'], env: Env): Otlp | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const wants = (signal: 'METRICS' | 'TRACES') => {
    const exporter = env[`OTEL_${signal}_EXPORTER`];
    if (exporter !== undefined && exporter !== '') return exporter.split(',').includes('otlp');
    return ['', `${signal}_`].some((part) => (env[`OTEL_EXPORTER_OTLP_${part}ENDPOINT`] ?? '') !== '');
  };
  const metrics = block?.metrics ?? wants('METRICS');
  const traces = block?.traces ?? wants('TRACES');
  if (!metrics && !traces) return undefined;
  const intervalMs = block?.interval ?? (Number(env['OTEL_METRIC_EXPORT_INTERVAL']) || 60_000);
  return { metrics, traces, endpoint: block?.endpoint, intervalMs, traceShare: traceShare(env) };
}

/** The share of traces that is sent; each of ours is a root, so whether a sampler asks the parent makes no difference. */
function traceShare(env: Env): number {
  const sampler = env['OTEL_TRACES_SAMPLER'] ?? '';
  if (sampler.endsWith('always_off')) return 0;
  const share = Number(env['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
  return sampler.endsWith('traceidratio') && share >= 0 && share <= 1 ? share : 1;
}
