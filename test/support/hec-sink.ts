import { expect } from 'vitest';
import type { Batch } from '../../src/event/event.ts';
import type { Verdict } from '../../src/lib/verdict.ts';
import type { Sent, Sink, SinkDeps } from '../../src/sinks/sink.ts';
import type { PollInterval } from '../../src/sinks/splunk-hec/ack-poller.ts';
import { type SplunkHecOptions, splunkHecOptions } from '../../src/sinks/splunk-hec/options.ts';
import { openSplunkHec } from '../../src/sinks/splunk-hec/sink.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { type HecServer, type HecServerOptions, startHecServer } from './hec-server.ts';
import { sinkDeps } from './sink-parts.ts';

export const alive = new AbortController().signal;
export const quick: PollInterval = { firstMs: 4, longestMs: 20, hurryMs: 2 };

export interface TestCollector extends AsyncDisposable {
  readonly hec: HecServer;
  readonly sink: Sink;
  readonly heard: TelemetryEvent[];
  /** A sink of another process for the same collector, with the pending acknowledgements of an earlier one. */
  reopen(pendingAcks: unknown): Sink;
}

export interface Setup {
  readonly server?: HecServerOptions;
  readonly options?: object;
  /** Values that a configuration does not allow. */
  readonly parsed?: Partial<SplunkHecOptions>;
  readonly deps?: Partial<SinkDeps>;
  readonly interval?: PollInterval;
}

/** A collector on loopback and a sink for it, without acknowledgement unless `options` says so. */
export async function collector({
  server,
  options,
  parsed,
  deps,
  interval = quick,
}: Setup = {}): Promise<TestCollector> {
  const hec = await startHecServer(server);
  const given = { type: 'splunk-hec', url: hec.url, token: hec.token, acknowledgement: false, ...options };
  if ('tokenFile' in given) given.token = undefined as never;
  const all = { ...splunkHecOptions.parse(given), ...parsed };
  const own = sinkDeps(deps);
  const opened: Sink[] = [];
  const open = (more: SinkDeps) => {
    const sink = openSplunkHec(all, more, interval);
    opened.push(sink);
    return sink;
  };
  return {
    hec,
    sink: open(own),
    heard: own.heard,
    reopen: (pendingAcks) => open({ ...own, pendingAcks: JSON.parse(JSON.stringify(pendingAcks)) }),
    async [Symbol.asyncDispose]() {
      for (const sink of opened) await sink[Symbol.asyncDispose]();
      await hec[Symbol.asyncDispose]();
    },
  };
}

/** A collector whose token has acknowledgement, and a sink that requires it; `ackTimeoutMs` may be below what a configuration allows. */
export function acknowledging(
  { server, options, parsed, ...rest }: Setup = {},
  ackTimeoutMs = 60_000,
): Promise<TestCollector> {
  return collector({
    server: { tokenState: 'ack', ...server },
    options: { acknowledgement: true, ...options },
    parsed: { ackTimeout: ackTimeoutMs, ...parsed },
    ...rest,
  });
}

/** Sends a batch that must be answered with `sent`. */
export async function sent(sink: Sink, batch: Batch): Promise<Sent> {
  const answer = await sink.send(batch, alive);
  expect(answer).toMatchObject({ kind: 'sent' });
  return answer as Sent;
}

/** Sends a batch and returns its last verdict. */
export async function delivered(sink: Sink, batch: Batch): Promise<Verdict> {
  const answer = await sink.send(batch, alive);
  return answer.kind === 'sent' ? answer.confirmed : answer;
}

/** Runs everything that is ready, without letting time pass. */
export async function settleDown(): Promise<void> {
  for (let round = 0; round < 50; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** The ids of the events that a collector kept, in order of arrival. */
export const idsOf = (hec: HecServer): number[] => hec.events.map(({ raw }) => JSON.parse(raw.toString()).id);

/** Details of the events with a topic. */
export const saidOf = (heard: readonly TelemetryEvent[], topic: string): string[] =>
  heard.flatMap((one) => ('topic' in one && one.topic === topic ? [one.detail] : []));
