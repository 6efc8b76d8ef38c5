import { type Loaded, loadConfigWithPlugins } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { type Failure, type Finding, failed, ok, warning } from '../../lib/finding.ts';
import { printable } from '../../lib/printable.ts';
import { type Command, configFlag, jsonFlag, UsageError } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { realContext } from '../set-up.ts';
import { jsonLine } from '../table.ts';
import { check } from './check.ts';

export const checkCommand: Command = {
  summary: 'verify every setting end to end and suggest fixes; changes nothing',
  usage: '[-c FILE] [--offline] [--send-test-event] [--json]',
  flags: {
    config: configFlag,
    offline: { type: 'boolean', describes: 'verify the configuration only, without any connection' },
    'send-test-event': { type: 'boolean', describes: 'deliver one marked event, with id 0, to each sink' },
    json: jsonFlag,
  },
  notes: [
    'Exit code 78: configuration, checkpoint or source.url is wrong; 77: the API rejects the key; 73: the state directory',
    'is not usable; 69: the source or a sink is unreachable, or a sink rejects us. The highest applies.',
  ].join('\n'),
  async run({ config: file, offline, 'send-test-event': testEvent, json }, _, cli) {
    if (offline === true && testEvent === true)
      throw new UsageError('--send-test-event and --offline exclude each other');
    const loaded = await loadConfigWithPlugins({ file: file as string | undefined, env: cli.env });
    const all: Finding[] = [];
    const report = async (findings: readonly Finding[]) => {
      all.push(...findings);
      if (json !== true) await cli.print(findings.map(text).join(''));
    };
    await report(configuration(loaded));
    if (loaded.ok && offline !== true) {
      const { config } = loaded;
      const ctx = { ...realContext(config, cli), emit: () => {} };
      const { graceful } = cli.signals;
      for await (const findings of check({ config, ctx, signal: graceful, testEvent: testEvent === true }))
        await report(findings);
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
      failed(name, 'config', formatProblem(problem), 'correct it there; "schema" describes every key'),
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

/** The highest that applies; 70 overrides all. */
function codeOf(findings: readonly Finding[]): number {
  const found = findings.flatMap(({ failure }) => (failure === undefined ? [] : [codes[failure]]));
  return found.includes(exitCode.bug) ? exitCode.bug : Math.max(exitCode.done, ...found);
}
