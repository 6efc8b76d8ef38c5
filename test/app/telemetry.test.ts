import { describe, expect, it } from 'vitest';
import { telemetrySettings } from '../../src/app/telemetry.ts';
import { configOf, load, withRoot } from '../support/configuration.ts';

const wanted = (block: string, env: Record<string, string> = {}) =>
  telemetrySettings(configOf(load(withRoot(`telemetry: ${block}`))), env);

describe('the telemetry settings', () => {
  it('are empty by default', () => {
    expect(wanted('{}')).toMatchObject({ listen: undefined, otlp: undefined, problems: [] });
  });

  it.each([
    ['127.0.0.1:9464', true],
    ['"[::1]:9464"', true],
    ['localhost:9464', true],
    ['0.0.0.0:9464', false],
    ['192.0.2.1:9464', false],
    ['127.0.0.1.example.com:9464', false],
  ])('have the status page at %s: %s', (listen, page) => {
    expect(wanted(`{ listen: ${listen} }`).page).toBe(page);
    expect(wanted(`{ listen: ${listen}, page: true }`).page).toBe(true);
    expect(wanted(`{ listen: ${listen}, page: false }`).page).toBe(false);
  });

  it('send both signals to the endpoint of the file', () => {
    expect(wanted('{ otlp: { endpoint: "http://a:4318", interval: 5s } }').otlp).toEqual({
      endpoint: 'http://a:4318',
      metrics: true,
      traces: true,
      intervalMs: 5_000,
      traceShare: 1,
    });
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }, { metrics: true, traces: true, endpoint: undefined }],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a' }, { metrics: false, traces: true }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_METRICS_EXPORTER: 'none' },
      { metrics: false, traces: true },
    ],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, { metrics: false, traces: true }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_METRIC_EXPORT_INTERVAL: '5000' }, { intervalMs: 5_000 }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_TRACES_SAMPLER: 'always_off' }, { traceShare: 0 }],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a',
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
      },
      { traceShare: 0.25 },
    ],
  ])('follows the standard variables: %o', (env, otlp) => {
    expect(wanted('{}', env as Record<string, string>).otlp).toMatchObject(otlp);
  });

  it('are empty with OTEL_SDK_DISABLED', () => {
    const env = { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' };
    expect(wanted('{ otlp: { endpoint: "http://a:4318" } }', env).otlp).toBeUndefined();
  });

  it('report a protocol that is not supported', () => {
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    expect(wanted('{}', env).problems).toEqual([]);
    expect(wanted('{ otlp: { endpoint: "http://a:4317" } }', env).problems[0]).toContain('http/protobuf');
  });

  it('reject a secret in the endpoint', () => {
    const loaded = load(withRoot('telemetry: { otlp: { endpoint: "http://user:canary@a:4318" } }'));
    expect(loaded.ok).toBe(false);
    expect(JSON.stringify(loaded)).not.toContain('canary');
  });
});
