import type { Context } from '../../app/context.ts';
import type { Config } from '../../config/schema.ts';
import type { Cursor } from '../../event/event.ts';
import { printable } from '../../lib/printable.ts';
import { lockState } from '../../state/file/lock.ts';
import { prepareState } from '../../state/file/state-directory.ts';
import { parseId, requireSink, requireSinkName } from '../arguments.ts';
import { type Command, configFlag, jsonFlag, UsageError, yesFlag } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readConfig, realContext } from '../set-up.ts';
import { jsonLine, table } from '../table.ts';
import { applyRename, applyReset, applySet, examineRename } from './apply.ts';
import { namesOf } from './dead-letters.ts';
import { type CursorRow, knownSinks, lookAtCursors } from './list-cursors.ts';
import { Lookup } from './lookup.ts';
import { type Place, type Plan, planRename, planReset, planSet, words } from './plan.ts';

const usage = 'list | set SINK ID | reset SINK | rename OLD NEW';

export const cursorCommand: Command = {
  summary: 'lists and moves the cursors of the sinks',
  usage: `${usage} [-c FILE] [--yes] [--json]`,
  flags: { config: configFlag, yes: yesFlag, json: jsonFlag },
  positionals: 3,
  notes: [
    'list            every cursor as it stands on disk',
    'set SINK ID     the next event for the sink is the first after ID; also takes a checkpoint over to another tenant',
    'reset SINK      forgets the cursor: the next start goes by startAt',
    'rename OLD NEW  after a sink was renamed: its cursor and dead letters get the new name',
    '',
    'Moving asks first where standard input is a terminal, is refused (75) while a daemon holds the state directory, and',
    'is written down in operations.ndjson there.',
  ].join('\n'),
  async run(values, [verb = '', ...names], cli) {
    const wanted = { list: 0, set: 2, reset: 1, rename: 2 }[verb];
    if (wanted === undefined || names.length !== wanted) throw new UsageError(`write cursor ${usage}`);
    const loaded = readConfig(values['config'] as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config } = loaded;
    const json = values['json'] === true;
    if (verb === 'list') {
      const rows = await lookAtCursors(config);
      await cli.print(json ? jsonLine(rows) : listing(rows));
      return exitCode.done;
    }
    const work = prepare(verb, names);
    const ctx = realContext(config, cli);
    if (verb !== 'rename') requireSink(names[0] ?? '', await knownSinks(config));
    await prepareState(config.state.directory);
    await using _lock = await lockState(config.state.directory, ctx.now);
    using lookup = new Lookup(config, ctx, cli.signals.graceful);
    const { plan, apply } = await work(config, ctx, lookup);
    if (!json) await cli.print(telling(plan));
    const done = (values['yes'] === true || (await cli.confirm('Do it?'))) && !cli.signals.graceful.aborted;
    if (done) await apply();
    else cli.complain('nothing was changed');
    if (json) await cli.print(jsonLine({ ...plan, done }));
    else if (done) await cli.print('done\n');
    return exitCode.done;
  },
};

type Work = (config: Config, ctx: Context, lookup: Lookup) => Promise<{ plan: Plan; apply: () => Promise<void> }>;

function prepare(verb: string, [sink = '', second = '']: readonly string[]): Work {
  if (verb === 'set') {
    const id = parseId(second, 'cursor set');
    return async (config, ctx, lookup) => {
      const plan = await planSet(config, sink, id, lookup);
      return { plan, apply: () => applySet(config, plan, id, ctx) };
    };
  }
  if (verb === 'reset')
    return async (config, ctx, lookup) => {
      const plan = await planReset(config, sink, lookup);
      return { plan, apply: () => applyReset(config, plan, ctx) };
    };
  requireSinkName(sink);
  requireSinkName(second);
  if (sink === second) throw new UsageError('cursor rename: both names are the same');
  return async (config, ctx, lookup) => {
    const rename = await examineRename(config, sink, second);
    const names = { sink, to: second, deadLetters: namesOf(rename.deadLetters) };
    const plan = await planRename(config, names, lookup);
    return { plan, apply: () => applyRename(config, plan, rename, ctx) };
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
      id(after),
      id(head),
      id(delivered),
      printable(updatedAt ?? '-', 30),
      printable(notes.join('; '), 300),
    ];
  });
  return table([['SINK', 'AFTER', 'HAS UP TO', 'ABOVE AFTER', 'UPDATED', ''], ...lines]);
}

const id = (value: Cursor | undefined) => (value === undefined ? '-' : String(value));

function telling({ operation, sink, from, to, consequences }: Plan): string {
  const lines = [`${operation}: ${sink}`, `  from  ${place(from)}`, `  to    ${place(to)}`];
  return `${[...lines, ...consequences.map((line) => `  ${printable(line, 1000)}`)].join('\n')}\n`;
}

function place({ sink, id, after, event, source, updatedAt, detail }: Place): string {
  const rest = [
    ...(after === undefined ? [] : [`all of it up to ${after}`]),
    ...(source === undefined ? [] : [`of ${source}`]),
    ...(updatedAt === undefined ? [] : [`saved ${updatedAt}`]),
  ];
  const position = id === undefined ? undefined : standing(id, event);
  const said = [sink, detail, position].filter((part) => part !== undefined).join(': ');
  return printable(rest.length === 0 ? said : `${said} [${rest.join(', ')}]`, 1000);
}

function standing(id: Cursor, event: Place['event']): string {
  if (event?.id === id) return words(event);
  if (id === 0n) return '0, before the first event';
  return event === undefined ? String(id) : `${id}; the next event is ${words(event)}`;
}
