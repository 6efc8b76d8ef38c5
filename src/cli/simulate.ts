import { sleep } from '../lib/shutdown.ts';
import { type Fault, parseFault } from '../testing/simulator/faults.ts';
import { startSimulator } from '../testing/simulator/server.ts';
import { type Command, UsageError, type Values } from './command.ts';
import { exitCode } from './exit-code.ts';

export const simulateCommand: Command = {
  summary: 'serve a simulated QA Sphere audit-log API on loopback',
  usage: '[options]',
  flags: {
    port: { type: 'string', value: 'N', describes: 'port to listen on; 0: any free one (default 8080)' },
    events: { type: 'string', value: 'N', describes: 'events that exist at the start (default 1000)' },
    rate: { type: 'string', value: 'N', describes: 'new events per second (default 0)' },
    seed: { type: 'string', value: 'N', describes: 'the same seed generates the same events (default 1)' },
    key: { type: 'string', value: 'KEY', describes: 'the API key to accept (default SIEM-LOG-ONLY-demo)' },
    fault: {
      type: 'string',
      multiple: true,
      value: 'KIND[:SHARE]',
      describes:
        'answer with this fault, always or for a share of the requests; repeatable: 401 402 403 404 408 429 429-date 429-bare 500 502 503 504 reset reset-body truncated truncated-gzip slow html no-events redirect empty',
    },
  },
  notes: 'Example: simulate --rate 5 --fault 429:0.05 --fault reset',
  async run(values, _, cli) {
    const given = Object.fromEntries(
      (['port', 'events', 'rate', 'seed'] as const).flatMap((name) => {
        const value = number(values, name);
        return value === undefined ? [] : [[name, value]];
      }),
    );
    const faults = ((values['fault'] as string[] | undefined) ?? []).map(fault);
    const key = (values['key'] as string | undefined) ?? 'SIEM-LOG-ONLY-demo';
    let simulator: Awaited<ReturnType<typeof startSimulator>>;
    try {
      simulator = await startSimulator({ port: 8080, ...given, key, faults });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      throw new UsageError('--port: another program uses this port, choose another one');
    }
    await using server = simulator;
    cli.complain(`simulated QA Sphere audit log at ${server.url}`);
    cli.complain(
      `try: QASPHERE_URL=${server.url} QASPHERE_API_KEY=${values['key'] === undefined ? key : '…'} qasphere-siem-forwarder run`,
    );
    await sleep(2 ** 31 - 1, cli.signals.graceful);
    return exitCode.done;
  },
};

function number(values: Values, name: string): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0 || (name !== 'rate' && !Number.isSafeInteger(value)))
    throw new UsageError(`--${name}: write a number`);
  if (name === 'port' && value > 65_535) throw new UsageError('--port: write a number up to 65535');
  return value;
}

function fault(text: string): Fault {
  const parsed = parseFault(text);
  if (!('kind' in parsed)) throw new UsageError(`--fault: ${parsed.problem}`);
  return parsed;
}
