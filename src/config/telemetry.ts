import * as z from 'zod';
import { duration } from '../lib/options/values.ts';

/** Parses `HOST:PORT`; an IPv6 address is in brackets. */
function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

const listen = z.string().transform((text, context) => {
  const parsed = parseListen(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'write HOST:PORT, for example 127.0.0.1:9464 or [::1]:9464' });
  return z.NEVER;
});

const otlp = z
  .strictObject({
    endpoint: z
      .string()
      .superRefine((text, context) => {
        const url = URL.parse(text);
        if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '')
          context.addIssue({ code: 'custom', message: 'write http://HOST:4318 or https://…' });
        else if (url.username !== '' || url.password !== '')
          context.addIssue({
            code: 'custom',
            message: 'must not contain a user or password: use OTEL_EXPORTER_OTLP_HEADERS',
          });
      })
      .describe('Base URL of an OTLP receiver (HTTP, protobuf); /v1/metrics and /v1/traces are appended.'),
    metrics: z.boolean().default(true).describe('Send the metrics.'),
    traces: z.boolean().default(true).describe('Send a span for every poll, page, encoding, delivery and checkpoint.'),
    interval: duration(1000).prefault('60s').describe('How often metrics are sent.'),
  })
  .optional()
  .describe('Push to an OpenTelemetry receiver. The OTEL_* variables apply too; headers can only be set there.');

/** The `telemetry` block. */
export const telemetryOptions = z
  .strictObject({
    listen: listen
      .optional()
      .describe('HOST:PORT for /metrics, /livez and /readyz, for example 127.0.0.1:9464; off when absent.'),
    hosts: z
      .array(z.string().regex(/^[A-Za-z0-9._-]+$/, 'write a host name, without a port'))
      .default([])
      .describe('Host names that requests may use, besides IP addresses and localhost; any other gets 421.'),
    page: z.boolean().optional().describe('Serve the status page at /. Default: only if listen is a loopback address.'),
    otlp,
  })
  .prefault({})
  .describe('Metrics, traces, health checks and the status page.');
