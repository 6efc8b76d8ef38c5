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

export interface At extends AsyncDisposable {
  readonly hec: HecServer;
  readonly sink: Sink;
  readonly heard: TelemetryEvent[];
  /** Another process: the same collector, with what the last one left. */
  reopen(journal: unknown): Sink;
}

export interface Set {
  readonly server?: HecServerOptions;
  readonly options?: object;
  /** Past what a configuration may say. */
  readonly parsed?: Partial<SplunkHecOptions>;
  readonly deps?: Partial<SinkDeps>;
  readonly pace?: PollInterval;
}

/** A collector on loopback and a sink for it, without acknowledgement unless `options` says so. */
export async function collector({ server, options, parsed, deps, pace = quick }: Set = {}): Promise<At> {
  const hec = await startHecServer(server);
  const given = { type: 'splunk-hec', url: hec.url, token: hec.token, acknowledgement: false, ...options };
  if ('tokenFile' in given) given.token = undefined as never;
  const all = { ...splunkHecOptions.parse(given), ...parsed };
  const own = sinkDeps(deps);
  const opened: Sink[] = [];
  const open = (more: SinkDeps) => {
    const sink = openSplunkHec(all, more, pace);
    opened.push(sink);
    return sink;
  };
  return {
    hec,
    sink: open(own),
    heard: own.heard,
    reopen: (journal) => open({ ...own, pendingAcks: JSON.parse(JSON.stringify(journal)) }),
    async [Symbol.asyncDispose]() {
      for (const sink of opened) await sink[Symbol.asyncDispose]();
      await hec[Symbol.asyncDispose]();
    },
  };
}

/** A collector whose token acknowledges, and a sink that insists on it; `ackTimeoutMs` is past what a configuration may say. */
export function acknowledging({ server, options, parsed, ...rest }: Set = {}, ackTimeoutMs = 60_000): Promise<At> {
  return collector({
    server: { tokenState: 'ack', ...server },
    options: { acknowledgement: true, ...options },
    parsed: { ackTimeout: ackTimeoutMs, ...parsed },
    ...rest,
  });
}

/** Sends a batch that must be taken for now, and gives its confirmation. */
export async function sent(sink: Sink, batch: Batch): Promise<Sent> {
  const answer = await sink.send(batch, alive);
  expect(answer).toMatchObject({ kind: 'sent' });
  return answer as Sent;
}

/** Sends and waits for the last word. */
export async function delivered(sink: Sink, batch: Batch): Promise<Verdict> {
  const answer = await sink.send(batch, alive);
  return answer.kind === 'sent' ? answer.confirmed : answer;
}

/** Lets everything that is ready run, without letting time pass. */
export async function settleDown(): Promise<void> {
  for (let round = 0; round < 50; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** The ids of what a collector kept, in order of arrival. */
export const idsOf = (hec: HecServer): number[] => hec.events.map(({ raw }) => JSON.parse(raw.toString()).id);

/** What was reported under a topic. */
export const saidOf = (heard: readonly TelemetryEvent[], topic: string): string[] =>
  heard.flatMap((one) => ('topic' in one && one.topic === topic ? [one.detail] : []));
