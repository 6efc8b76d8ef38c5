import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { readGenerations, usable } from '../../state/file/generations.ts';
import { CheckpointProblem } from '../../state/store.ts';
import { checkpointsOf, headOf } from './list-cursors.ts';
import type { Between, Lookup, Seen } from './lookup.ts';

/** Where a cursor stands, or what there is instead. */
export interface Place {
  /** Another name. */
  readonly sink?: string;
  /** The greatest id the sink has; undefined where that is not known. */
  readonly id?: Cursor;
  /** Everything at or below is done for good; where it is not `id`. */
  readonly after?: Cursor;
  /** The event `id`, or where there is none the first after it. */
  readonly event?: Seen;
  /** Origin of the tenant, where it is not the configured one. */
  readonly source?: string;
  /** ISO 8601. */
  readonly updatedAt?: string;
  /** In words, where there is no position. */
  readonly detail?: string;
}

/** What is about to be done to the cursor of one sink. */
export interface Plan {
  readonly operation: 'cursor set' | 'cursor reset' | 'cursor rename';
  readonly sink: string;
  readonly from: Place;
  readonly to: Place;
  /** The ids that are delivered again, or are never delivered. */
  readonly between?: Between & { readonly direction: 'back' | 'forward' };
  /** What follows from it, one printable line each. */
  readonly consequences: readonly string[];
}

/** What `cursor set SINK ID` would do. @throws {CheckpointProblem} for a checkpoint of a newer version */
export async function planSet(config: Config, sink: string, id: Cursor, lookup: Lookup): Promise<Plan> {
  const from = await placeOf(config, sink, lookup);
  const [event, next] = [id > 0n ? await lookup.at(id) : undefined, await lookup.first(id)];
  const to: Place = { id, ...(event !== undefined && { event }) };
  const moved = await move(from, id, sink, lookup);
  const notes: string[] = [];
  if (lookup.trouble === undefined && next !== undefined) notes.push(`the next event for ${sink} is ${words(next)}`);
  if (lookup.trouble === undefined && next === undefined)
    notes.push(
      event === undefined && id > 0n
        ? `no event has this id or a greater one yet: ${sink} gets nothing until ids pass ${id}`
        : `nothing newer is there yet`,
    );
  if (from.source !== undefined)
    notes.push(`the checkpoint is taken over from ${from.source} to ${config.source.url}, where its ids meant nothing`);
  else if (from.after !== undefined && from.after < id && from.id !== from.after)
    notes.push(`events from ${from.after + 1n} to ${id} that have not come yet are no longer waited for`);
  return plan('cursor set', sink, from, to, moved, notes, lookup);
}

/** What `cursor reset SINK` would do. @throws {CheckpointProblem} for a checkpoint of a newer version */
export async function planReset(config: Config, sink: string, lookup: Lookup): Promise<Plan> {
  const from = await placeOf(config, sink, lookup);
  const { startAt } = config.source;
  const said =
    startAt.kind === 'time'
      ? new Date(startAt.timeMs).toISOString()
      : startAt.kind === 'id'
        ? String(startAt.id)
        : startAt.kind;
  const id = await lookup.start(startAt);
  const event = id === undefined ? undefined : await lookup.first(id);
  const to: Place = {
    detail: `no checkpoint: the next start goes by startAt: ${said}`,
    ...(id !== undefined && { id }),
    ...(event !== undefined && { event }),
  };
  const moved = id === undefined ? undefined : await move(from, id, sink, lookup);
  const notes =
    event === undefined ? [] : [`were it started now, the first event for ${sink} would be ${words(event)}`];
  return plan('cursor reset', sink, from, to, moved, notes, lookup);
}

/** What `cursor rename OLD NEW` would do, where it can be done. */
export async function planRename(
  config: Config,
  names: { readonly sink: string; readonly to: string; readonly deadLetters: readonly string[] },
  lookup: Lookup,
): Promise<Plan> {
  const { sink, to, deadLetters } = names;
  const configured = config.sinks.map(({ name }) => name);
  const from = await placeOf(config, sink, lookup);
  const notes = [`${to} goes on where ${sink} stands`];
  if (deadLetters.length > 0) notes.push(`dead letters move along: ${deadLetters.join(', ')}`);
  if (!configured.includes(to)) notes.push(`${to} is not in the configuration yet: rename the sink there too`);
  if (configured.includes(sink)) notes.push(`${sink} is still in the configuration: it would start anew, by startAt`);
  return plan('cursor rename', sink, from, { sink: to, ...from }, undefined, notes, lookup);
}

function plan(
  operation: Plan['operation'],
  sink: string,
  from: Place,
  to: Place,
  moved: Moved | undefined,
  notes: readonly string[],
  lookup: Lookup,
): Plan {
  const unasked =
    lookup.trouble === undefined
      ? []
      : [`QA Sphere can't be asked, so times and events are not known here: ${lookup.trouble}`];
  const consequences = [...(moved === undefined ? [] : [moved.line]), ...notes, ...unasked];
  return { operation, sink, from, to, ...(moved?.between && { between: moved.between }), consequences };
}

async function placeOf(config: Config, sink: string, lookup: Lookup): Promise<Place> {
  const generations = await readGenerations(checkpointsOf(config), sink);
  const { newest, previous } = generations;
  for (const generation of [newest, previous])
    if (generation.kind === 'newer') throw new CheckpointProblem(generation.detail);
  const good = usable(generations);
  if (good === undefined) {
    const none = newest.kind === 'missing' && previous.kind === 'missing';
    return { detail: none ? 'no checkpoint' : 'a damaged checkpoint, whose position is not known' };
  }
  const { checkpoint, updatedAt } = good;
  const id = headOf(checkpoint);
  const after = checkpoint.after === id ? {} : { after: checkpoint.after };
  if (checkpoint.source !== config.source.url) return { id, ...after, updatedAt, source: checkpoint.source };
  const event = id > 0n ? await lookup.at(id) : undefined;
  return { id, ...after, updatedAt, ...(event !== undefined && { event }) };
}

interface Moved {
  readonly line: string;
  readonly between?: NonNullable<Plan['between']>;
}

async function move(from: Place, to: Cursor, sink: string, lookup: Lookup): Promise<Moved | undefined> {
  if (from.id === undefined || from.source !== undefined) return undefined;
  if (from.id === to) return { line: 'no event is skipped or delivered again' };
  const back = to < from.id;
  const [low, high] = back ? [to, from.id] : [from.id, to];
  const between = await lookup.between(low, high);
  const count = between.exact ? amount(between.events) : `at most ${amount(between.events)}`;
  return {
    line: back
      ? `back: ${count} above ${low} up to ${high} will be delivered to ${sink} again`
      : `forward: ${count} above ${low} up to ${high} will never be delivered to ${sink}`,
    between: { ...between, direction: back ? 'back' : 'forward' },
  };
}

const amount = (events: bigint) => (events === 1n ? '1 event' : `${events} events`);

/** An event in words, for a person. */
export function words({ id, createdAt, action }: Seen): string {
  const rest = [createdAt, action].filter((text) => text !== '').join(', ');
  return rest === '' ? String(id) : `${id} (${rest})`;
}
