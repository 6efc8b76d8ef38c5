import { tenantIdentity } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import { printable } from '../../lib/printable.ts';
import { definitionOf } from '../../sinks/registry.ts';
import type { StateBackend } from '../../state/store.ts';
import { type CursorRow, listCursors } from '../cursor/list-cursors.ts';
import { table } from '../table.ts';

/** The stored state of one sink. */
export interface StoredSink extends CursorRow {
  /** Where the sink delivers to; absent if it is not configured. */
  readonly destination?: string;
  /** Dead letters, and those of `replay`. */
  readonly deadLetters: number;
  readonly deadLettersOfReplay: number;
}

export interface StoredStatus {
  /** For example the directory. */
  readonly location: string;
  /** Who owns the state, in words: a daemon that runs, though it does not answer. */
  readonly owner: string | undefined;
  readonly sinks: readonly StoredSink[];
}

/** The status of the sinks from the stored state. Changes nothing. @throws {StateProblem} */
export async function readStoredStatus(config: Config, backend: StateBackend): Promise<StoredStatus> {
  const tenant = tenantIdentity(config);
  const state = backend.share(tenant);
  const destinations = destinationsOf(config);
  const sinks = (await listCursors(config, state)).map(async (row): Promise<StoredSink> => {
    const deadLetters = await state.deadLetters(row.sink).count();
    const deadLettersOfReplay = await state.deadLetters(row.sink, 'replay').count();
    return { ...row, ...destinations.get(row.sink), deadLetters, deadLettersOfReplay };
  });
  return { location: backend.location, owner: await backend.owner(tenant), sinks: await Promise.all(sinks) };
}

/** Where each configured sink delivers to, by name. */
export const destinationsOf = ({ sinks }: Config): ReadonlyMap<string, { readonly destination: string }> =>
  new Map(sinks.map((sink) => [sink.name, { destination: definitionOf(sink).destination(sink) }]));

/** For people. */
export function storedStatusText({ location, owner, sinks }: StoredStatus): string {
  const who =
    owner === undefined
      ? `no daemon is running in ${location}; the stored state is:`
      : `${location} is held by ${owner}, which does not answer; the stored state is:`;
  const heading = ['SINK', 'STATE', 'CURSOR', 'DELIVERED UP TO', 'ABOVE CURSOR', 'UPDATED', 'DEAD LETTERS'];
  return `${printable(who, 500)}\n\n${table([heading, ...sinks.map(tableRow)])}${sinks.map(detailLines).join('')}`;
}

function tableRow({ sink, state, configured, after, head, delivered, updatedAt, ...counts }: StoredSink): string[] {
  const condition = configured ? state : `${state}, not configured`;
  const numbers = [after, head, delivered].map((value) => (value === undefined ? '-' : String(value)));
  const deadLetters = counts.deadLetters + counts.deadLettersOfReplay;
  return [sink, condition, ...numbers, printable(updatedAt ?? '-', 30), String(deadLetters)];
}

const detailLines = ({ sink, destination, detail }: StoredSink) =>
  [destination && `to ${destination}`, detail]
    .flatMap((text) => (text === undefined ? [] : [`  ${sink}: ${printable(text, 500)}\n`]))
    .join('');

/** For programs; the members are named as in the status of a running daemon. */
export function storedStatusJson({ location, owner, sinks }: StoredStatus) {
  return {
    format: 1,
    running: owner !== undefined,
    ready: false,
    directory: location,
    ...(owner !== undefined && { holder: owner }),
    sinks: sinks.map(({ sink, after, head, delivered, ...rest }) => ({
      name: sink,
      ...rest,
      ...(after !== undefined && { cursor: after }),
      ...(head !== undefined && { last: head }),
      ...(delivered !== undefined && { aboveCursor: delivered }),
    })),
  };
}
