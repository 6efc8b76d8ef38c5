import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { CheckpointProblem, type RenameCheck, type SharedState } from '../../state/store.ts';
import { quoted } from '../arguments.ts';
import { UsageError } from '../command.ts';
import { headOf } from './list-cursors.ts';
import type { Between, EventSummary, Lookup } from './lookup.ts';

/** The position of a cursor, or what there is instead. */
export interface Position {
  /** Another name. */
  readonly sink?: string;
  /** The greatest id that is delivered; undefined if unknown. */
  readonly id?: Cursor;
  /** Every event at or below is done; present if it differs from `id`. */
  readonly after?: Cursor;
  /** The event `id`, or the first after it if there is no such event. */
  readonly event?: EventSummary;
  /** Origin of the tenant, if it is not the configured one. */
  readonly source?: string;
  /** ISO 8601. */
  readonly updatedAt?: string;
  /** In words, if there is no position. */
  readonly detail?: string;
}

/** What is about to be done to the cursor of one sink. */
export interface Plan {
  readonly operation: 'cursor set' | 'cursor reset' | 'cursor rename';
  readonly sink: string;
  readonly from: Position;
  readonly to: Position;
  /** The ids that are delivered again (back) or never delivered (forward). */
  readonly between?: Between & { readonly direction: 'back' | 'forward' };
  /** What follows from it, one printable line each. */
  readonly consequences: readonly string[];
}

/** What `cursor set SINK ID` would do. @throws {CheckpointProblem} for a checkpoint of a newer version */
export async function planSet(
  config: Config,
  state: SharedState,
  sink: string,
  id: Cursor,
  lookup: Lookup,
): Promise<Plan> {
  const from = await positionOf(config, state, sink, lookup);
  const [event, next] = [id > 0n ? await lookup.at(id) : undefined, await lookup.first(id)];
  const to: Position = { id, ...(event !== undefined && { event }) };
  const moved = await move(from, id, sink, lookup);
  const notes: string[] = [];
  if (lookup.problem === undefined && next !== undefined) notes.push(`the next event for ${sink} is ${words(next)}`);
  if (lookup.problem === undefined && next === undefined)
    notes.push(
      event === undefined && id > 0n
        ? `no event has this id or a greater one yet: ${sink} gets nothing until there are ids above ${id}`
        : 'there is no newer event yet',
    );
  if (from.source !== undefined)
    notes.push(
      `the checkpoint belongs to ${from.source} and is taken over to ${config.source.url}; its ids have no meaning there`,
    );
  else if (from.after !== undefined && from.after < id && from.id !== from.after)
    notes.push(`late events from ${from.after + 1n} to ${id} are no longer waited for`);
  return plan('cursor set', sink, from, to, moved, notes, lookup);
}

/** What `cursor reset SINK` would do. @throws {CheckpointProblem} for a checkpoint of a newer version */
export async function planReset(config: Config, state: SharedState, sink: string, lookup: Lookup): Promise<Plan> {
  const from = await positionOf(config, state, sink, lookup);
  const { startAt } = config.source;
  const startText =
    startAt.kind === 'time'
      ? new Date(startAt.timeMs).toISOString()
      : startAt.kind === 'id'
        ? String(startAt.id)
        : startAt.kind;
  const id = await lookup.start(startAt);
  const event = id === undefined ? undefined : await lookup.first(id);
  const to: Position = {
    detail: `no checkpoint: the next start uses startAt: ${startText}`,
    ...(id !== undefined && { id }),
    ...(event !== undefined && { event }),
  };
  const moved = id === undefined ? undefined : await move(from, id, sink, lookup);
  const notes = event === undefined ? [] : [`if it started now, the first event for ${sink} would be ${words(event)}`];
  return plan('cursor reset', sink, from, to, moved, notes, lookup);
}

/**
 * What `cursor rename OLD NEW` would do. @throws {UsageError} if it can't be done
 * @throws {CheckpointProblem} for a checkpoint that can't be read
 */
export async function planRename(
  config: Config,
  state: SharedState,
  { sink, to, check }: { readonly sink: string; readonly to: string; readonly check: RenameCheck },
  lookup: Lookup,
): Promise<Plan> {
  const deadLetters = await requirePossible(check, sink, to, state);
  const configured = config.sinks.map(({ name }) => name);
  const from = await positionOf(config, state, sink, lookup);
  const notes = [`${to} continues from the position of ${sink}`];
  if (deadLetters.length > 0) notes.push(`dead letters that are renamed too: ${deadLetters.join(', ')}`);
  if (!configured.includes(to)) notes.push(`${to} is not in the configuration yet: rename the sink there too`);
  if (configured.includes(sink)) notes.push(`${sink} is still in the configuration: it would start again, by startAt`);
  return plan('cursor rename', sink, from, { sink: to, ...from }, undefined, notes, lookup);
}

/** Names of the dead letters that move. */
async function requirePossible(
  check: RenameCheck,
  sink: string,
  to: string,
  state: SharedState,
): Promise<readonly string[]> {
  switch (check.kind) {
    case 'possible':
      return check.deadLetters;
    case 'taken':
      throw new UsageError(
        check.what === 'checkpoint'
          ? `${to} has a checkpoint already (${check.location}), and rename never overwrites: "cursor reset ${to}" first if it is not needed`
          : `${check.location} exists already, and rename never overwrites: move one of the two files away`,
      );
    case 'missing': {
      const known = (await state.inspect()).map((found) => found.sink);
      const others = known.length === 0 ? 'no sink has one' : `these sinks have one: ${known.join(', ')}`;
      throw new UsageError(`there is no checkpoint of sink ${quoted(sink)} to rename: ${others}`);
    }
    case 'newer':
      throw new CheckpointProblem(check.detail);
    case 'damaged':
      throw new CheckpointProblem(
        `the checkpoint of sink ${sink} is damaged (${check.detail}): "cursor set ${sink} ID" or "cursor reset ${sink}" first`,
      );
  }
}

function plan(
  operation: Plan['operation'],
  sink: string,
  from: Position,
  to: Position,
  moved: Moved | undefined,
  notes: readonly string[],
  lookup: Lookup,
): Plan {
  const unreachable =
    lookup.problem === undefined
      ? []
      : [`QA Sphere API unreachable, so times and events are unknown: ${lookup.problem}`];
  const consequences = [...(moved === undefined ? [] : [moved.line]), ...notes, ...unreachable];
  return { operation, sink, from, to, ...(moved?.between && { between: moved.between }), consequences };
}

async function positionOf(config: Config, state: SharedState, sink: string, lookup: Lookup): Promise<Position> {
  const found = (await state.inspect()).find((each) => each.sink === sink);
  if (found === undefined) return { detail: 'no checkpoint' };
  const { condition, checkpoint, updatedAt, detail } = found;
  if (condition === 'newer') throw new CheckpointProblem(detail);
  if (checkpoint === undefined) return { detail: 'a damaged checkpoint, whose position is unknown' };
  const id = headOf(checkpoint);
  const saved = updatedAt === undefined ? {} : { updatedAt };
  const after = checkpoint.after === id ? {} : { after: checkpoint.after };
  if (checkpoint.source !== config.source.url) return { id, ...after, ...saved, source: checkpoint.source };
  const event = id > 0n ? await lookup.at(id) : undefined;
  return { id, ...after, ...saved, ...(event !== undefined && { event }) };
}

interface Moved {
  readonly line: string;
  readonly between?: NonNullable<Plan['between']>;
}

async function move(from: Position, to: Cursor, sink: string, lookup: Lookup): Promise<Moved | undefined> {
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

/** An event as a person reads it. */
export function words({ id, createdAt, action }: EventSummary): string {
  const rest = [createdAt, action].filter((text) => text !== '').join(', ');
  return rest === '' ? String(id) : `${id} (${rest})`;
}
