import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { dispatch, type Emit, type Handlers } from './telemetry-event.ts';

interface Poll {
  readonly span: Span;
  readonly context: Context;
  isOpen: boolean;
}

export interface TracingOptions {
  readonly tracer: Tracer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Origin of the API. */
  readonly origin: string;
}

const path = '/api/public/v0/audit-logs';

/**
 * One span per poll, with the children `page`, `encode`, `deliver` and `checkpoint`. Spans are made from telemetry events
 * after the fact, so the work never waits for tracing. A page that several sinks share becomes a child of one of their
 * polls. Attributes follow OpenTelemetry's semantic conventions; except for ids their values are closed sets.
 */
export function createTracing(options: TracingOptions): Emit {
  const spans = new Spans(options);
  const { hostname, port, protocol } = new URL(options.origin);
  const server = {
    'http.request.method': 'GET',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'http:' ? 80 : 443),
    'url.path': path,
  };
  const deliveryFailed = ({ sink, reason, detail }: { sink: string; reason: string; detail: string }) =>
    spans.child('deliver', spans.pollOf(sink), 0, { 'forwarder.sink': sink, 'error.type': reason }, { error: detail });
  const handlers: Handlers = {
    'pipeline.polling': ({ sink }) => spans.startPoll(sink),
    'pipeline.poll': ({ sink, newEvents }) => spans.endPoll(sink, newEvents),
    'source.response': ({ after, status, elapsedMs }) => {
      const isError = typeof status === 'string' || status >= 400;
      const outcome = typeof status === 'string' ? { 'error.type': status } : { 'http.response.status_code': status };
      const attributes = { ...server, ...outcome, 'forwarder.after': `${after}` };
      const kind = SpanKind.CLIENT;
      spans.child('page', spans.anyOpenPoll(), elapsedMs, attributes, { kind, ...(isError && { error: '' }) });
    },
    'pipeline.encoded': ({ sink, records, elapsedMs }) =>
      spans.child('encode', spans.pollOf(sink), elapsedMs, { 'forwarder.sink': sink, 'forwarder.events': records }),
    'pipeline.delivered': ({ sink, records, last, elapsedMs }) =>
      spans.child('deliver', spans.pollOf(sink), elapsedMs, {
        'forwarder.sink': sink,
        'forwarder.events': records,
        'forwarder.last': `${last}`,
      }),
    'pipeline.retry': deliveryFailed,
    'pipeline.parked': deliveryFailed,
    'checkpoint.saved': ({ sink, after, elapsedMs }) =>
      spans.child('checkpoint', spans.pollOf(sink), elapsedMs, {
        'forwarder.sink': sink,
        'forwarder.cursor': `${after}`,
      }),
  };
  return (event) => dispatch(handlers, event);
}

class Spans {
  readonly #tracer: Tracer;
  readonly #now: () => number;
  /** The newest poll of each sink; it stays the parent of what its events lead to after it ended. */
  readonly #polls = new Map<string, Poll>();

  constructor({ tracer, now }: TracingOptions) {
    this.#tracer = tracer;
    this.#now = now;
  }

  pollOf(sink: string): Poll | undefined {
    return this.#polls.get(sink);
  }

  anyOpenPoll(): Poll | undefined {
    return this.#polls.values().find(({ isOpen }) => isOpen);
  }

  startPoll(sink: string): void {
    this.endPoll(sink);
    const options = { startTime: this.#now(), attributes: { 'forwarder.sink': sink } };
    const span = this.#tracer.startSpan('poll', options, ROOT_CONTEXT);
    this.#polls.set(sink, { span, context: trace.setSpan(ROOT_CONTEXT, span), isOpen: true });
  }

  endPoll(sink: string, newEvents?: number): void {
    const poll = this.#polls.get(sink);
    if (poll === undefined || !poll.isOpen) return;
    if (newEvents !== undefined) poll.span.setAttribute('forwarder.events', newEvents);
    poll.span.end(this.#now());
    poll.isOpen = false;
  }

  /** A span that ends now and began `elapsedMs` ago; `error`: it failed, with that message. */
  child(
    name: string,
    parent: Poll | undefined,
    elapsedMs: number,
    attributes: Readonly<Record<string, string | number>>,
    { kind = SpanKind.INTERNAL, error }: { kind?: SpanKind; error?: string } = {},
  ): void {
    const end = this.#now();
    const options: SpanOptions = { startTime: end - elapsedMs, attributes, kind };
    const span = this.#tracer.startSpan(name, options, parent?.context ?? ROOT_CONTEXT);
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, ...(error !== '' && { message: error }) });
    span.end(end);
  }
}
