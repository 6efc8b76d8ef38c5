import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { CheckpointProblem, type CheckpointState, type SharedState } from '../../state/store.ts';
import { UsageError } from '../command.ts';
import { headOf } from '../cursor/list-cursors.ts';
import type { Lookup } from '../cursor/lookup.ts';
import { words } from '../cursor/plan.ts';

export interface ReplayRequest {
  readonly sink: string;
  /** Ids above it are sent. */
  readonly after: Cursor;
  /** The last id that is sent; default: the last that is delivered, or the last dead letter. */
  readonly until: Cursor | undefined;
  readonly from: 'log' | 'dead letter';
}

export interface ReplayPlan extends ReplayRequest {
  readonly until: Cursor;
  /** What will happen, one printable line each. */
  readonly lines: readonly string[];
  /** There is nothing to send. */
  readonly empty: boolean;
  /** The source returned pages before, so that a 404 is temporary. */
  readonly readBefore: boolean;
}

/** What a replay would send. @throws {UsageError} @throws {CheckpointProblem} @throws {StateProblem} */
export async function planReplay(
  config: Config,
  state: SharedState,
  request: ReplayRequest,
  lookup: Lookup,
): Promise<ReplayPlan> {
  return request.from === 'log' ? planLog(config, state, request, lookup) : planDeadLetter(state, request);
}

async function planLog(
  config: Config,
  state: SharedState,
  request: ReplayRequest,
  lookup: Lookup,
): Promise<ReplayPlan> {
  const { sink, after } = request;
  const stored = (await state.inspect()).find((found) => found.sink === sink);
  const until = request.until ?? lastDelivered(stored, sink);
  if (until <= after) {
    const line = `nothing above ${after} is delivered to ${sink}: its last event is ${until}`;
    return { ...request, until, lines: [line], empty: true, readBefore: true };
  }
  const [first, last] = [await lookup.first(after), await lookup.at(until)];
  const between = await lookup.between(after, until);
  const { checkpoint } = stored ?? {};
  const delivered = checkpoint?.source === config.source.url ? headOf(checkpoint) : undefined;
  const lines = [
    `${between.exact ? '' : 'at most '}${between.events} events above ${after} up to ${until} are sent to ${sink} again`,
  ];
  if (first !== undefined && first.id <= until) lines.push(`the first is ${words(first)}`);
  if (last !== undefined)
    lines.push(last.id === until ? `the last is ${words(last)}` : `they end before ${words(last)}`);
  if (delivered !== undefined && until > delivered)
    lines.push(`those above ${delivered} are not delivered to ${sink} yet: the daemon will deliver them once more`);
  if (lookup.problem !== undefined)
    lines.push(`QA Sphere API unreachable, so times and events are unknown: ${lookup.problem}`);
  return { ...request, until, lines, empty: false, readBefore: delivered !== undefined || first !== undefined };
}

async function planDeadLetter(state: SharedState, request: ReplayRequest): Promise<ReplayPlan> {
  const { sink, after } = request;
  const letters = state.deadLetters(sink);
  const { events, first, last, unreadable, replaced } = await letters.summary(request);
  const lines = [
    events === 0
      ? `there are no dead letters of ${sink} in ${letters.location}`
      : `${events} dead letters of ${sink} are sent again, from ${first} to ${last}; ${letters.location} stays unchanged`,
  ];
  if (unreadable > 0) lines.push(`${unreadable} lines of ${letters.location} can't be read and are left out`);
  if (replaced > 0) lines.push(`${replaced} older lines for the same ids with another text are left out`);
  return { ...request, until: last ?? request.until ?? after, lines, empty: events === 0, readBefore: true };
}

/** @throws {UsageError} without a checkpoint @throws {CheckpointProblem} for one that can't be used */
function lastDelivered(stored: CheckpointState | undefined, sink: string): Cursor {
  if (stored === undefined)
    throw new UsageError(`${sink} has no checkpoint, so nothing is delivered to it yet: use --until ID`);
  const { condition, checkpoint, detail } = stored;
  if (condition === 'other tenant')
    throw new CheckpointProblem(`the checkpoint of ${sink} is of another tenant (${detail}): use --until ID`);
  if (checkpoint === undefined || condition === 'damaged')
    throw new CheckpointProblem(`the checkpoint of ${sink} can't be used (${detail}): use --until ID`);
  return headOf(checkpoint);
}
