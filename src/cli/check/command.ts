import { type Loaded, loadConfig } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { type Failure, type Finding, failed, ok, warning } from '../../lib/finding.ts';
import { printable } from '../../lib/printable.ts';
import { type Command, configFlag, jsonFlag, UsageError } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { realContext } from '../set-up.ts';
import { jsonLine } from '../table.ts';
import { check } from './check.ts';

export const checkCommand: Command = {
  summary: 'tries everything the configuration promises, tells what to do where something fails, and moves nothing',
  usage: '[-c FILE] [--offline] [--send-test-event] [--json]',
  flags: {
    config: configFlag,
    offline: { type: 'boolean', describes: 'the configuration alone: nothing is asked or connected to' },
    'send-test-event': { type: 'boolean', describes: 'deliver one marked event, with id 0, to each sink' },
    json: jsonFlag,
  },
  notes: [
    'Exit code 78: configuration, checkpoint or source.url are wrong; 77: the API refuses the key; 73: the state',
    'directory can not be used; 69: the source or a sink can not be reached, or a sink refuses us. The highest wins.',
  ].join('\n'),
  async run({ config: file, offline, 'send-test-event': testEvent, json }, _, cli) {
    if (offline === true && testEvent === true) throw new UsageError('--send-test-event can not be --offline');
    const loaded = loadConfig({ file: file as string | undefined, env: cli.env });
    const all: Finding[] = [];
    const tell = async (findings: readonly Finding[]) => {
      all.push(...findings);
      if (json !== true) await cli.print(findings.map(text).join(''));
    };
    await tell(configuration(loaded));
    if (loaded.ok && offline !== true) {
      const { config } = loaded;
      const ctx = { ...realContext(config, cli), emit: () => {} };
      const { graceful } = cli.signals;
      for await (const findings of check({ config, ctx, stop: graceful, testEvent: testEvent === true }))
        await tell(findings);
    }
    const code = codeOf(all);
    if (json === true) await cli.print(jsonLine({ ok: code === exitCode.done, exitCode: code, findings: all }));
    return code;
  },
};

function configuration(loaded: Loaded): Finding[] {
  const name = 'configuration';
  if (!loaded.ok)
    return loaded.problems.map((problem) =>
      failed(name, 'config', formatProblem(problem), 'correct it there; "schema" prints every key with its meaning'),
    );
  const { config, path, warnings } = loaded;
  const sinks = config.sinks.map((sink) => `${sink.name} (${sink.type})`).join(', ');
  return [
    ok(name, `${path ?? 'from the environment'}: ${config.source.url} to ${sinks}`),
    ...warnings.map((detail) => warning(name, detail)),
  ];
}

const marks = { ok: '✓', failed: '✗', warning: '!', skipped: '!' } as const;
const nameWidth = 18;

function text({ check, result, detail, remedies, elapsedMs }: Finding): string {
  const took = elapsedMs === undefined ? '' : ` (${Math.round(elapsedMs)} ms)`;
  const line = `${marks[result]} ${printable(check, 80).padEnd(nameWidth)}  ${printable(detail, 1000)}${took}\n`;
  return line + remedies.map((remedy) => `    → ${printable(remedy, 500)}\n`).join('');
}

const codes: Readonly<Record<Failure, number>> = {
  config: exitCode.config,
  key: exitCode.key,
  state: exitCode.state,
  bug: exitCode.bug,
  unreachable: exitCode.unreachable,
};

/** The highest of those that apply, and 70 before all. */
function codeOf(findings: readonly Finding[]): number {
  const found = findings.flatMap(({ failure }) => (failure === undefined ? [] : [codes[failure]]));
  return found.includes(exitCode.bug) ? exitCode.bug : Math.max(exitCode.done, ...found);
}
