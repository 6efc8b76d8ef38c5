import { printable } from '../../lib/printable.ts';
import { prepareState } from '../../state/file/state-directory.ts';
import { parseId, requireSink } from '../arguments.ts';
import { type Command, configFlag, patienceFlag, patienceMsOf, UsageError, type Values, yesFlag } from '../command.ts';
import { commandRateLimit } from '../command-rate-limit.ts';
import { Lookup } from '../cursor/lookup.ts';
import { codeOfOutcomes, exitCode } from '../exit-code.ts';
import { Progress } from '../progress.ts';
import { readConfig, realContext } from '../set-up.ts';
import { planReplay, type ReplayPlan, type ReplayRequest } from './plan.ts';
import { type Replayed, replay } from './replay.ts';

export const replayCommand: Command = {
  summary: 'delivers a range of events to one sink again; its checkpoint stays where it is',
  usage: '--sink NAME (--after ID | --dead-letter) [--until ID] [-c FILE] [--yes] [--patience DURATION]',
  flags: {
    config: configFlag,
    sink: { type: 'string', value: 'NAME', describes: 'the sink to deliver to, with its filter, redaction and format' },
    after: { type: 'string', value: 'ID', describes: 'the first event sent is the one after this' },
    until: { type: 'string', value: 'ID', describes: 'the last event sent; default: the last that the sink has' },
    'dead-letter': { type: 'boolean', describes: 'send what was set aside for the sink, instead of the log' },
    yes: yesFlag,
    patience: patienceFlag,
  },
  notes: [
    'May run beside a daemon: then it asks for at most 5 pages a second. What the sink refuses again is set aside in',
    'dead-letter/NAME.replay.ndjson. Exit code 69 where source or sink was given up. It is written down in',
    'operations.ndjson, and where it is stopped it says how to go on.',
  ].join('\n'),
  async run(values, _, cli) {
    const given = read(values);
    const patienceMs = patienceMsOf(values['patience']);
    const loaded = readConfig(values['config'] as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config } = loaded;
    requireSink(
      given.sink,
      config.sinks.map(({ name }) => name),
    );
    const { directory } = config.state;
    await prepareState(directory);
    cli.setShutdownTimeout(config.shutdownTimeout);

    let progress: Progress | undefined;
    const ctx = realContext(config, cli, (event) => progress?.handle(event));
    const speed = await commandRateLimit(config);
    using lookup = new Lookup(config, ctx, cli.signals.graceful, speed.pace);
    const plan = await planReplay(config, ctx, given, lookup);
    for (const line of plan.lines) cli.complain(printable(line, 1000));
    if (plan.empty) return exitCode.done;
    if (speed.holder !== undefined)
      cli.complain(`the state directory is held by ${printable(speed.holder)}: asking slowly beside it`);
    if (!(values['yes'] === true || (await cli.confirm('Send them?'))) || cli.signals.graceful.aborted) {
      cli.complain('nothing was sent');
      return exitCode.done;
    }
    using drawn = new Progress(cli, { range: plan });
    progress = drawn;
    drawn.logWith(ctx.emit);
    const replayed = await replay(config, ctx, cli.signals, { plan, speed, patienceMs });
    drawn[Symbol.dispose]();
    for (const line of summary(plan, replayed)) cli.complain(line);
    return codeOfOutcomes(replayed.outcomes);
  },
};

/** @throws {UsageError} */
function read(values: Values): ReplayRequest {
  const [sink, after, until] = ['sink', 'after', 'until'].map((name) => values[name] as string | undefined);
  const from = values['dead-letter'] === true ? 'dead letter' : 'log';
  if (sink === undefined) throw new UsageError('replay: write --sink NAME');
  if (after === undefined && from === 'log') throw new UsageError('replay: write --after ID, or --dead-letter');
  const low = after === undefined ? 0n : parseId(after, '--after');
  const high = until === undefined ? undefined : parseId(until, '--until');
  if (high !== undefined && high <= low) throw new UsageError('replay: --until must be greater than --after');
  return { sink, after: low, until: high, from };
}

function summary({ sink, from, until }: ReplayPlan, { outcomes, whole, ...counts }: Replayed): string[] {
  const { delivered, filtered, setAside, reached } = counts;
  const rest = [
    ...(filtered > 0 ? [`${filtered} filtered out`] : []),
    ...(setAside > 0 ? [`${setAside} set aside in dead-letter/${sink}.replay.ndjson`] : []),
  ];
  const lines = [[`${delivered} events were delivered to ${sink} again`, ...rest].join(', ')];
  for (const outcome of outcomes) if (outcome.kind === 'source') lines.push(printable(outcome.error.message, 1000));
  const flag = from === 'log' ? '' : ' --dead-letter';
  if (!whole)
    lines.push(
      `everything up to ${reached} is done; go on with: replay --sink ${sink}${flag} --after ${reached} --until ${until}`,
    );
  return lines;
}
