import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { printable } from '../lib/printable.ts';
import { childScope, type ShutdownSignals } from '../lib/shutdown.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import { definitionOf, type SinkConfig } from '../sinks/registry.ts';
import { readText, replaceFile } from '../state/file/durable.ts';
import { appendOperation, readOperations } from '../state/file/operations.ts';
import type { SendStatus } from '../telemetry/heartbeat/heartbeat.ts';
import type { Heartbeats, OperationsLog } from '../telemetry/heartbeat/heartbeats.ts';
import type { Context } from './context.ts';

/** What the feed remembers over a restart. */
interface Remembered {
  /** Bytes of the operations file that were looked at. */
  readonly operations: number;
  /** When the process was last known to run, epoch milliseconds. */
  readonly aliveAtMs: number | undefined;
}

const fileName = 'feed.json';
/** How often it is written that the process runs, milliseconds. */
const rememberMs = 60_000;

/** A journal at `<state>/operations.ndjson`. */
export function operationsLog(directory: string, { now, emit }: Pick<Context, 'now' | 'emit'>): OperationsLog {
  return async (entry) => {
    try {
      await appendOperation({ directory, now }, entry);
    } catch (error) {
      const detail = `operations.ndjson can't be written: ${printable((error as Error).message)}`;
      emit({ event: 'daemon.warning', topic: 'operations', detail });
    }
  };
}

/** Tells of the start: for how long nothing ran, and what a person did to cursors meanwhile. */
export async function announceStart(heartbeats: Heartbeats, directory: string, ctx: Context): Promise<AsyncDisposable> {
  const { version, now } = ctx;
  const before = await remembered(directory);
  const { entries, end } = await readOperations(directory, before.operations).catch(() => ({ entries: [], end: 0 }));
  const downMs = before.aliveAtMs === undefined ? undefined : Math.max(0, now() - before.aliveAtMs);
  heartbeats.announce(
    'forwarder.started',
    {
      version,
      pid: process.pid,
      ...(downMs !== undefined && {
        last_seen_alive_at: new Date(before.aliveAtMs ?? 0).toISOString(),
        down_seconds: Math.round(downMs / 100) / 10,
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
  const remember = async (operations = end) => {
    if (!heartbeats.any) return;
    const text = JSON.stringify({ version: 1, operations, aliveAtMs: now() });
    const path = join(directory, fileName);
    // Only how long a restart took would be lost with it.
    await replaceFile(path, `${text}\n`, `${path}.previous`).catch(() => {});
  };
  // What was just queued counts as told a minute later: rather twice than never.
  await remember(before.operations);
  const timer = setInterval(() => void remember(), rememberMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await remember();
    },
  };
}

/** Tells a sink of the forwarder while `work` delivers to it, and its last word afterwards. */
export async function withHeartbeat(
  route: Pipeline,
  signals: ShutdownSignals,
  heartbeats: Heartbeats | undefined,
  /** Why it ends, or undefined where it ends for another configuration and not for good. */
  why: () => string | undefined,
  work: () => Promise<void>,
): Promise<void> {
  if (heartbeats === undefined) return work();
  const tell: SendStatus = (note, kill) => route.tell(note, kill);
  const scope = childScope(signals);
  const feeding = heartbeats.run(route.name, tell, scope);
  try {
    await work();
  } finally {
    scope.end();
    await feeding;
    const reason = why();
    if (reason !== undefined) await heartbeats.finish(route.name, tell, signals, { why: reason });
  }
}

/** Why it ends: a signal, or a source that gives nothing any more. */
export function stopReason({ graceful }: ShutdownSignals): string {
  return graceful.reason instanceof Error && graceful.reason.name !== 'AbortError' ? graceful.reason.message : 'source';
}

/** Operations on cursors that did not fail: a failed one is followed by a second line that says so. */
function moves(entries: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  return entries.filter(
    (entry, index) =>
      String(entry['operation'] ?? '').startsWith('cursor ') &&
      entry['outcome'] !== 'failed' &&
      entries[index + 1]?.['outcome'] !== 'failed',
  );
}

async function remembered(directory: string): Promise<Remembered> {
  try {
    const { operations, aliveAtMs } = JSON.parse((await readText(join(directory, fileName))) ?? '') as Record<
      string,
      unknown
    >;
    return {
      operations: typeof operations === 'number' ? operations : 0,
      aliveAtMs: typeof aliveAtMs === 'number' ? aliveAtMs : undefined,
    };
  } catch {
    return { operations: 0, aliveAtMs: undefined };
  }
}

export const heartbeatsOf = ({ sinks }: Config) =>
  sinks.map(({ name, heartbeat }) => ({ name, heartbeatMs: heartbeat }));

/** Tells what is in force: to each sink what concerns it, and the hash of the whole. */
export function announceConfiguration(heartbeats: Heartbeats, config: Config): void {
  const configuration = fingerprint(config);
  for (const sink of config.sinks)
    heartbeats.announce('forwarder.configured', { configuration, ...inForce(sink, config) }, { sink: sink.name });
}

function inForce(sink: SinkConfig, { source }: Config): Record<string, unknown> {
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

const idsAsText = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

/** SHA-256 over the configuration in force; secrets are left out. */
export function fingerprint(config: Config): string {
  return createHash('sha256').update(JSON.stringify(config, idsAsText)).digest('hex');
}
