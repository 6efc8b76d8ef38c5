import type { Config } from '../config/schema.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import { definitionOf, type SinkConfig } from '../sinks/registry.ts';
import { Fenced, StateProblem, type StateStore } from '../state/store.ts';
import type { SendStatus } from '../telemetry/heartbeat/heartbeat.ts';
import type { Heartbeats, OperationsLog } from '../telemetry/heartbeat/heartbeats.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { fingerprint } from './config-diff.ts';
import type { Context } from './context.ts';

/** How often it is saved that the process runs, milliseconds. */
const aliveEveryMs = 60_000;

/** Records in the operations log; a failure is a warning. */
export function operationsLog(store: StateStore, emit: Emit): OperationsLog {
  return async (entry) => {
    try {
      await store.record(entry);
    } catch (error) {
      warnOf(error, "the operations log can't be written", emit);
    }
  };
}

/** Announces the start: for how long nothing ran, and what a person did to cursors meanwhile. */
export async function announceStart(
  heartbeats: Heartbeats,
  store: StateStore,
  { version, now, emit }: Pick<Context, 'version' | 'now' | 'emit'>,
): Promise<AsyncDisposable> {
  const before = await store.loadHeartbeat();
  const announced = before?.operations ?? 0;
  const { entries, end } = await store.operations(announced).catch((error: unknown) => {
    warnOf(error, "the operations log can't be read", emit);
    return { entries: [], end: announced };
  });
  heartbeats.announce(
    'forwarder.started',
    {
      version,
      pid: process.pid,
      ...(before !== undefined && {
        last_seen_alive_at: new Date(before.aliveAtMs).toISOString(),
        down_seconds: Math.round(Math.max(0, now() - before.aliveAtMs) / 100) / 10,
      }),
    },
    {},
  );
  for (const { sink, operation, at, uid, from, to, between } of moves(entries))
    heartbeats.announce(
      'forwarder.cursor_moved',
      { operation, sink, moved_at: at, uid, from, to, between },
      {
        // A cursor that was renamed belongs to the sink of its new name.
        sink: String(operation === 'cursor rename' ? to : sink),
        isLogged: true,
      },
    );
  let isSaved = true;
  const save = async (operations: number) => {
    if (!heartbeats.any) return;
    try {
      await store.saveHeartbeat({ operations, aliveAtMs: now() });
      isSaved = true;
    } catch (error) {
      // Nothing is lost with it but for how long a restart took.
      warnOf(error, "the heartbeat's state can't be saved", isSaved ? emit : () => {});
      isSaved = false;
    }
  };
  // What was just queued counts as announced a minute later: rather twice than never.
  await save(announced);
  let saving = Promise.resolve();
  const timer = setInterval(() => {
    saving = saving.then(() => save(end));
  }, aliveEveryMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await saving;
      await save(end);
    },
  };
}

/** @throws what is not an error of the storage */
function warnOf(error: unknown, what: string, emit: Emit): void {
  if (!(error instanceof Error) || (!('code' in error) && !(error instanceof StateProblem || error instanceof Fenced)))
    throw error;
  emit({ event: 'daemon.warning', topic: 'state', detail: `${what}: ${printable(error.message)}` });
}

/** Sends status records to the sink while `work` delivers to it, and a last one afterwards. */
export async function withHeartbeat(
  pipeline: Pipeline,
  signals: ShutdownSignals,
  heartbeats: Heartbeats | undefined,
  /** Why it ends; undefined if a successor with a new configuration follows. */
  why: () => string | undefined,
  work: () => Promise<void>,
): Promise<void> {
  if (heartbeats === undefined) return work();
  const { name } = pipeline;
  const send: SendStatus = (record, forced) => pipeline.sendStatus(record, forced);
  const scope = childScope(signals);
  const sending = heartbeats.run(name, send, scope);
  try {
    await work();
  } finally {
    scope.end();
    await sending;
    const reason = why();
    if (reason !== undefined) await heartbeats.finish(name, send, signals, { why: reason });
  }
}

/** Why the pipelines end: the signal's name, or `source` if the source has stopped. */
export function stopReason({ graceful }: ShutdownSignals): string {
  return graceful.reason instanceof Error && graceful.reason.name !== 'AbortError' ? graceful.reason.message : 'source';
}

/** Operations on cursors that did not fail. A failed one is followed by a second entry that says so. */
function moves(entries: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  return entries.filter(
    (entry, index) =>
      String(entry['operation'] ?? '').startsWith('cursor ') &&
      entry['outcome'] !== 'failed' &&
      entries[index + 1]?.['outcome'] !== 'failed',
  );
}

export const heartbeatsOf = ({ sinks }: Config) =>
  sinks.map(({ name, heartbeat }) => ({ name, heartbeatMs: heartbeat }));

/** Announces the configuration: to each sink its own settings and the hash of the whole. */
export function announceConfiguration(heartbeats: Heartbeats, config: Config): void {
  const configuration = fingerprint(config);
  for (const sink of config.sinks)
    heartbeats.announce('forwarder.configured', { configuration, ...settingsOf(sink, config) }, { sink: sink.name });
}

function settingsOf(sink: SinkConfig, { source }: Config): Record<string, unknown> {
  const { name, type, format, filter, redact, heartbeat } = sink;
  return {
    sink: name,
    type,
    format,
    filter: filter ?? {},
    redact: redact ?? [],
    settle_seconds: source.settle / 1000,
    proof_of_delivery: definitionOf(sink).proof(sink),
    ...(heartbeat !== undefined && { heartbeat_seconds: heartbeat / 1000 }),
  };
}
