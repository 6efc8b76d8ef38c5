import { encodingOptions, openSink } from '../../app/build-pipeline.ts';
import { openApi, openHttp } from '../../app/build-source.ts';
import type { Context } from '../../app/context.ts';
import { openState, tenantIdentity } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import type { AuditEvent, Cursor } from '../../event/event.ts';
import { IdRanges } from '../../event/id-ranges.ts';
import { auditPath, type Hash, hexOf, leafHash, rootOf } from '../../evidence/merkle.ts';
import { parseRanges, parseSeal, type Seal } from '../../evidence/seal.ts';
import { printable } from '../../lib/printable.ts';
import { EncodingFailure, encodeEvent } from '../../pipeline/encode.ts';
import type { SealStore } from '../../state/store.ts';
import { parseId, requireSink } from '../arguments.ts';
import { type CliContext, UsageError, type Values } from '../command.ts';
import { commandRateLimit } from '../command-rate-limit.ts';
import { exitCode } from '../exit-code.ts';
import { fetchOnce } from '../fetch-once.ts';
import { readConfig, realContext } from '../set-up.ts';
import { jsonLine } from '../table.ts';
import type { Proof } from './proof.ts';
import { requireTenant } from './tenant.ts';

interface FoundInterval {
  readonly seal: Seal;
  readonly line: string;
  readonly ids: IdRanges;
}

/** `evidence prove`: prints the proof of one delivered event. */
export async function prove(values: Values, cli: CliContext): Promise<number> {
  const { sink: name, id: text } = values;
  if (typeof name !== 'string' || typeof text !== 'string')
    throw new UsageError('evidence prove: write --id ID and --sink NAME');
  const id = parseId(text, '--id');
  const loaded = await readConfig(values['config'] as string | undefined, cli);
  if (loaded === undefined) return exitCode.config;
  const { config } = loaded;
  requireTenant(values, config);
  requireSink(
    name,
    config.sinks.map((sink) => sink.name),
  );
  const ctx = realContext(config, cli);
  await using backend = openState(config, ctx);
  const store = backend.share(tenantIdentity(config)).seals(name);
  const interval = await sealOf(id, store);
  if (interval === undefined) {
    cli.complain(
      `no seal in ${printable(store.location, 500)} has event ${id} as delivered: it is not sealed yet, or was not delivered`,
    );
    return exitCode.notCovered;
  }
  const speed = await commandRateLimit(config, backend);
  const events = await readInterval(interval, config, ctx, cli, speed);
  if (typeof events === 'string') {
    cli.complain(`QA Sphere API: ${printable(events, 1000)}`);
    return exitCode.unreachable;
  }
  const records = await recordsOf(events, name, config, ctx);
  const leaves = [...interval.ids.toArray()].flatMap(([from, to]) => leavesOf(from, to, records));
  if (leaves.includes(undefined) || hexOf(rootOf(leaves as Hash[])) !== interval.seal.records) {
    cli.complain(
      `the records of seal ${interval.seal.seq} can't be made again: events changed in QA Sphere, or the sink has another format, filter or redaction than when they were delivered`,
    );
    return exitCode.broken;
  }
  const index = interval.ids.size - 1 - interval.ids.idsAbove(id);
  const proof: Proof = {
    ...{ v: 1, id: String(id), record: String(Buffer.from(records.get(id) as Uint8Array)), index, size: leaves.length },
    path: auditPath(leaves as Hash[], index).map(hexOf),
    seal: interval.line,
  };
  await cli.print(jsonLine(proof));
  return exitCode.done;
}

/** The newest seal that has the event as delivered. */
async function sealOf(id: Cursor, store: SealStore): Promise<FoundInterval | undefined> {
  let found: FoundInterval | undefined;
  for await (const line of store.lines()) {
    const parsed = parseSeal(line);
    if (parsed.kind !== 'seal') continue;
    const ids = IdRanges.of(parseRanges(parsed.seal.delivered.ids) ?? []);
    if (ids.has(id)) found = { seal: parsed.seal, line: parsed.line, ids };
  }
  return found;
}

/** The events of the interval, or why they can't be read. */
async function readInterval(
  { ids }: FoundInterval,
  config: Config,
  ctx: Context,
  { signals }: CliContext,
  { rateLimiter, turn }: Awaited<ReturnType<typeof commandRateLimit>>,
): Promise<readonly AuditEvent[] | string> {
  const [first = 0n, last = 0n] = [ids.first, ids.last];
  using http = openHttp(config, ctx);
  const stop = { graceful: signals.graceful, forced: signals.graceful };
  const api = openApi(config, ctx, { http, rateLimiter, emit: () => {}, readBefore: true });
  const events: AuditEvent[] = [];
  for (let after = first - 1n; after < last; ) {
    await turn();
    const answer = await fetchOnce(api, after, stop);
    if (answer?.kind !== 'page') return answer?.detail ?? 'interrupted';
    events.push(...answer.page.events);
    const newest = answer.page.events.at(-1);
    if (newest === undefined) break;
    after = newest.id;
  }
  return events;
}

/** The records as the sink delivers them, by id. */
async function recordsOf(
  events: readonly AuditEvent[],
  name: string,
  config: Config,
  ctx: Context,
): Promise<ReadonlyMap<Cursor, Uint8Array>> {
  const sink = config.sinks.find((one) => one.name === name);
  if (sink === undefined) throw new TypeError(`sink ${name} is not configured`);
  const encoding = encodingOptions(sink, config, ctx);
  await using opened = openSink(sink, encoding, config, ctx);
  const records = new Map<Cursor, Uint8Array>();
  for (const event of events) {
    const encoded = encodeEvent(event, encoding);
    if (encoded === undefined || encoded instanceof EncodingFailure) continue;
    records.set(event.id, opened.recordOf?.(encoded) ?? encoded.record);
  }
  return records;
}

function leavesOf(from: Cursor, to: Cursor, records: ReadonlyMap<Cursor, Uint8Array>): (Hash | undefined)[] {
  const leaves: (Hash | undefined)[] = [];
  for (let id = from; id <= to; id++) {
    const record = records.get(id);
    leaves.push(record && leafHash(id, record));
  }
  return leaves;
}
