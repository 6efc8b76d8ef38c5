import { openState, tenantIdentity } from '../../app/open-state.ts';
import { printable } from '../../lib/printable.ts';
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
  summary: 'delivers a range of events to one sink again; its checkpoint does not move',
  usage: '--sink NAME (--after ID | --dead-letter) [--until ID] [-c FILE] [--yes] [--patience DURATION]',
  flags: {
    config: configFlag,
    sink: {
      type: 'string',
      value: 'NAME',
      describes: 'the sink to deliver to; its filter, redaction and format apply',
    },
    after: { type: 'string', value: 'ID', describes: 'events with a greater id are sent' },
    until: { type: 'string', value: 'ID', describes: 'the last event sent; default: the last that was delivered' },
    'dead-letter': { type: 'boolean', describes: 'send the dead letters of the sink instead of the log' },
    yes: yesFlag,
    patience: patienceFlag,
  },
  notes: [
    'May run while a daemon runs: then it requests at most 5 pages a second. Records that the sink rejects again go to',
    'dead-letter/NAME.replay.ndjson. Exit code 69 if the source or the sink was given up. Each replay is recorded in',
    'operations.ndjson. If it is stopped, it prints the command that continues it.',
  ].join('\n'),
  async run(values, _, cli) {
    const request = read(values);
    const patienceMs = patienceMsOf(values['patience']);
    const loaded = await readConfig(values['config'] as string | undefined, cli);
    if (loaded === undefined) return exitCode.config;
    const { config } = loaded;
    requireSink(
      request.sink,
      config.sinks.map(({ name }) => name),
    );
    cli.setShutdownTimeout(config.shutdownTimeout);

    let progress: Progress | undefined;
    const ctx = realContext(config, cli, (event) => progress?.handle(event));
    await using backend = openState(config, ctx);
    const state = backend.share(tenantIdentity(config));
    const speed = await commandRateLimit(config, backend);
    using lookup = new Lookup(config, ctx, cli.signals.graceful, speed.rateLimiter);
    const plan = await planReplay(config, state, request, lookup);
    for (const line of plan.lines) cli.complain(printable(line, 1000));
    if (plan.empty) return exitCode.done;
    if (speed.owner !== undefined)
      cli.complain(`the state is held by ${printable(speed.owner)}: requests are limited to 5 a second`);
    if (!(values['yes'] === true || (await cli.confirm('Send them?'))) || cli.signals.graceful.aborted) {
      cli.complain('nothing was sent');
      return exitCode.done;
    }
    using drawn = new Progress(cli, { range: plan });
    progress = drawn;
    drawn.logWith(ctx.emit);
    const replayed = await replay(config, state, ctx, cli.signals, { plan, speed, patienceMs });
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

function summary({ sink, from, until }: ReplayPlan, { outcomes, complete, ...counts }: Replayed): string[] {
  const { delivered, filtered, deadLettered, reached } = counts;
  const rest = [
    ...(filtered > 0 ? [`${filtered} filtered out`] : []),
    ...(deadLettered > 0 ? [`${deadLettered} rejected, see dead-letter/${sink}.replay.ndjson`] : []),
  ];
  const lines = [[`${delivered} events were delivered to ${sink} again`, ...rest].join(', ')];
  for (const outcome of outcomes) if (outcome.kind === 'source') lines.push(printable(outcome.error.message, 1000));
  const flag = from === 'log' ? '' : ' --dead-letter';
  if (!complete)
    lines.push(
      `events up to ${reached} are done; continue with: replay --sink ${sink}${flag} --after ${reached} --until ${until}`,
    );
  return lines;
}
