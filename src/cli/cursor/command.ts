import { openState, tenantIdentity } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { printable } from '../../lib/printable.ts';
import type { SharedState, StateStore } from '../../state/store.ts';
import { parseId, requireSink, requireSinkName } from '../arguments.ts';
import { type Command, configFlag, jsonFlag, UsageError, yesFlag } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readConfig, realContext } from '../set-up.ts';
import { jsonLine, table } from '../table.ts';
import { applyRename, applyReset, applySet } from './apply.ts';
import { type CursorRow, listCursors } from './list-cursors.ts';
import { Lookup } from './lookup.ts';
import { type Plan, type Position, planRename, planReset, planSet, words } from './plan.ts';

const usage = 'list | set SINK ID | reset SINK | rename OLD NEW';

export const cursorCommand: Command = {
  summary: 'lists and moves the cursors of the sinks',
  usage: `${usage} [-c FILE] [--yes] [--json]`,
  flags: { config: configFlag, yes: yesFlag, json: jsonFlag },
  positionals: 3,
  notes: [
    'list            shows every stored cursor',
    'set SINK ID     the next event for the sink is the first after ID; also takes a checkpoint over to another tenant',
    'reset SINK      removes the cursor: the next start uses startAt',
    'rename OLD NEW  after a sink was renamed: its cursor and dead letters get the new name',
    '',
    'Moving a cursor asks for confirmation on a terminal and is refused (75) while a daemon runs. Each move is recorded in',
    'operations.ndjson in the state directory.',
  ].join('\n'),
  async run(values, [verb = '', ...names], cli) {
    const count = { list: 0, set: 2, reset: 1, rename: 2 }[verb];
    if (count === undefined || names.length !== count) throw new UsageError(`usage: cursor ${usage}`);
    const loaded = await readConfig(values['config'] as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config } = loaded;
    const json = values['json'] === true;
    const ctx = realContext(config, cli);
    await using backend = openState(config, ctx);
    const shared = backend.share(tenantIdentity(config));
    if (verb === 'list') {
      const rows = await listCursors(config, shared);
      await cli.print(json ? jsonLine(rows) : listing(rows));
      return exitCode.done;
    }
    const planWork = await prepare(verb, names, config, shared);
    await using store = await backend.own(tenantIdentity(config), cli.signals);
    using lookup = new Lookup(config, ctx, cli.signals.graceful);
    const { plan, apply } = await planWork(store, lookup);
    if (!json) await cli.print(planText(plan));
    const done = (values['yes'] === true || (await cli.confirm('Do it?'))) && !cli.signals.graceful.aborted;
    if (done) await apply();
    else cli.complain('nothing was changed');
    if (json) await cli.print(jsonLine({ ...plan, done }));
    else if (done) await cli.print('done\n');
    return exitCode.done;
  },
};

type PlanWork = (store: StateStore, lookup: Lookup) => Promise<{ plan: Plan; apply: () => Promise<void> }>;

/** Checks the arguments, before anything is locked. @throws {UsageError} */
async function prepare(
  verb: string,
  [sink = '', second = '']: readonly string[],
  config: Config,
  shared: SharedState,
): Promise<PlanWork> {
  if (verb === 'rename') {
    requireSinkName(sink);
    requireSinkName(second);
    if (sink === second) throw new UsageError('cursor rename: both names are the same');
    return async (store, lookup) => {
      const rename = { sink, to: second, check: await store.checkRename(sink, second) };
      const plan = await planRename(config, store, rename, lookup);
      return { plan, apply: () => applyRename(store, plan, second) };
    };
  }
  const id = verb === 'set' ? parseId(second, 'cursor set') : undefined;
  const known = (await listCursors(config, shared)).map((row) => row.sink);
  requireSink(sink, known);
  if (id === undefined)
    return async (store, lookup) => {
      const plan = await planReset(config, store, sink, lookup);
      return { plan, apply: () => applyReset(store, plan) };
    };
  return async (store, lookup) => {
    const plan = await planSet(config, store, sink, id, lookup);
    return { plan, apply: () => applySet(config, store, plan, id) };
  };
}

function listing(rows: readonly CursorRow[]): string {
  const lines = rows.map(({ sink, state, configured, detail, after, head, delivered, updatedAt }) => {
    const notes = [
      ...(state === 'good' ? [] : [state]),
      ...(configured ? [] : ['not configured']),
      ...(detail === undefined ? [] : [detail]),
    ];
    return [
      sink,
      idOf(after),
      idOf(head),
      idOf(delivered),
      printable(updatedAt ?? '-', 30),
      printable(notes.join('; '), 300),
    ];
  });
  return table([['SINK', 'AFTER', 'DELIVERED UP TO', 'ABOVE AFTER', 'UPDATED', ''], ...lines]);
}

const idOf = (value: Cursor | undefined) => (value === undefined ? '-' : String(value));

function planText({ operation, sink, from, to, consequences }: Plan): string {
  const lines = [`${operation}: ${sink}`, `  from  ${positionText(from)}`, `  to    ${positionText(to)}`];
  return `${[...lines, ...consequences.map((line) => `  ${printable(line, 1000)}`)].join('\n')}\n`;
}

function positionText({ sink, id, after, event, source, updatedAt, detail }: Position): string {
  const rest = [
    ...(after === undefined ? [] : [`complete up to ${after}`]),
    ...(source === undefined ? [] : [`of ${source}`]),
    ...(updatedAt === undefined ? [] : [`saved ${updatedAt}`]),
  ];
  const place = id === undefined ? undefined : idText(id, event);
  const text = [sink, detail, place].filter((part) => part !== undefined).join(': ');
  return printable(rest.length === 0 ? text : `${text} [${rest.join(', ')}]`, 1000);
}

function idText(id: Cursor, event: Position['event']): string {
  if (event?.id === id) return words(event);
  if (id === 0n) return '0, before the first event';
  return event === undefined ? String(id) : `${id}; the next event is ${words(event)}`;
}
