import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Emit, TelemetryEvent } from './telemetry-event.ts';

interface Poll {
  readonly span: Span;
  readonly context: Context;
  open: boolean;
}

export interface TracesOptions {
  readonly tracer: Tracer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Origin of the API. */
  readonly origin: string;
}

const path = '/api/public/v0/audit-logs';

/**
 * A span a poll, with children page, encode, deliver and checkpoint, made of happenings: what they tell they also time,
 * so nothing in the work itself waits for tracing. A page that several sinks share is the child of one poll. Attributes
 * follow the semantic conventions where there are some, and are as closed a set as the metrics' labels, but for ids.
 */
export function createTraces({ tracer, now, origin }: TracesOptions): Emit {
  const polls = new Map<string, Poll>();
  const { hostname, port, protocol } = new URL(origin);
  const server = {
    'http.request.method': 'GET',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'http:' ? 80 : 443),
    'url.path': path,
  };

  const child = (
    name: string,
    parent: Poll | undefined,
    elapsedMs: number,
    attributes: Record<string, string | number>,
    kind = SpanKind.INTERNAL,
  ) => {
    const end = now();
    const options = { startTime: end - elapsedMs, attributes, kind };
    return { span: tracer.startSpan(name, options, parent?.context ?? ROOT_CONTEXT), end };
  };
  const whole = (...made: Parameters<typeof child>) => {
    const { span, end } = child(...made);
    span.end(end);
  };
  const close = (sink: string) => {
    const poll = polls.get(sink);
    if (poll?.open) poll.span.end(now());
    if (poll !== undefined) poll.open = false;
  };
  const anyOpen = () => polls.values().find(({ open }) => open);

  return (h: TelemetryEvent) => {
    switch (h.event) {
      case 'pipeline.polling': {
        close(h.sink);
        const span = tracer.startSpan(
          'poll',
          { startTime: now(), attributes: { 'forwarder.sink': h.sink } },
          ROOT_CONTEXT,
        );
        polls.set(h.sink, { span, context: trace.setSpan(ROOT_CONTEXT, span), open: true });
        break;
      }
      case 'pipeline.poll':
        polls.get(h.sink)?.span.setAttribute('forwarder.events', h.fresh);
        close(h.sink);
        break;
      case 'source.response': {
        const failed = typeof h.status === 'string';
        const status = failed ? { 'error.type': h.status } : { 'http.response.status_code': h.status };
        const { span, end } = child(
          'page',
          anyOpen(),
          h.elapsedMs,
          { ...server, ...status, 'forwarder.after': `${h.after}` },
          SpanKind.CLIENT,
        );
        if (failed || Number(h.status) >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end(end);
        break;
      }
      case 'pipeline.encoded':
        whole('encode', polls.get(h.sink), h.elapsedMs, { 'forwarder.sink': h.sink, 'forwarder.events': h.records });
        break;
      case 'pipeline.delivered':
        whole('deliver', polls.get(h.sink), h.elapsedMs, {
          'forwarder.sink': h.sink,
          'forwarder.events': h.records,
          'forwarder.last': `${h.last}`,
        });
        break;
      case 'pipeline.retry':
      case 'pipeline.parked': {
        const { span, end } = child('deliver', polls.get(h.sink), 0, {
          'forwarder.sink': h.sink,
          'error.type': h.reason,
        });
        span.setStatus({ code: SpanStatusCode.ERROR, message: h.detail });
        span.end(end);
        break;
      }
      case 'checkpoint.saved':
        whole('checkpoint', polls.get(h.sink), h.elapsedMs, {
          'forwarder.sink': h.sink,
          'forwarder.cursor': `${h.after}`,
        });
        break;
      default:
        break;
    }
  };
}
