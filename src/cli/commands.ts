import { parseArgs } from 'node:util';
import { didYouMean } from '../lib/did-you-mean.ts';
import { printable } from '../lib/printable.ts';
import { type CliContext, type Command, configFlag, type Flag, UsageError } from './command.ts';
import { exitCode } from './exit-code.ts';

/** Each is loaded when it is called: a quick command does not wait for the parts of a long one. */
const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  run: {
    summary: 'run the daemon: poll on schedule, deliver to every sink',
    load: async () => (await import('./run.ts')).runCommand,
  },
  once: {
    summary: 'catch every sink up with the newest event, then exit',
    load: async () => (await import('./once.ts')).onceCommand,
  },
  check: {
    summary: 'verify every setting end to end and suggest fixes; changes nothing',
    load: async () => (await import('./check/command.ts')).checkCommand,
  },
  replay: {
    summary: 'deliver a range of events to one sink again',
    load: async () => (await import('./replay/command.ts')).replayCommand,
  },
  cursor: {
    summary: 'list or move the cursors of the sinks',
    load: async () => (await import('./cursor/command.ts')).cursorCommand,
  },
  status: {
    summary: 'show cursor, lag and last error of each sink',
    load: async () => (await import('./status/command.ts')).statusCommand,
  },
  evidence: {
    summary: 'verify that no delivered event is missing, changed or doubled',
    load: async () => (await import('./evidence/command.ts')).evidenceCommand,
  },
  simulate: {
    summary: 'serve a simulated audit-log API on loopback',
    load: async () => (await import('./simulate.ts')).simulateCommand,
  },
  demo: {
    summary: 'see records flow; needs no key and no configuration',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
  schema: {
    summary: 'print the JSON Schema of the configuration',
    load: async () => schemaCommand,
  },
};

const schemaCommand: Command = {
  summary: 'print the JSON Schema of the configuration',
  usage: '[-c FILE]',
  flags: { config: { ...configFlag, describes: 'include the options of the plug-ins that this file names' } },
  notes: 'For editors: # yaml-language-server: $schema=./config.schema.json',
  async run({ config: file }, _positionals, cli) {
    const { configJsonSchema } = await import('../config/json-schema.ts');
    const plugins = typeof file === 'string' ? await pluginsOf(file, cli) : [];
    if (plugins === undefined) return exitCode.config;
    await cli.print(`${JSON.stringify(configJsonSchema(plugins), null, 2)}\n`);
    return exitCode.done;
  },
};

/** The schemas of the plug-ins that a file names; undefined if the file is invalid. */
async function pluginsOf(file: string, cli: CliContext) {
  const { readConfig } = await import('./set-up.ts');
  const { pluginSchemas } = await import('../sinks/plugin/json-schema.ts');
  const loaded = await readConfig(file, cli);
  return loaded && pluginSchemas(loaded.config.sinks);
}

const program = 'qasphere-siem-forwarder';

/** Finds the command, reads its flags, runs it. @returns the exit code @throws {UsageError} */
export async function dispatch(argv: readonly string[], cli: CliContext): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined)
    throw new UsageError(`a command is missing: ${Object.keys(commands).join(', ')}; see ${program} --help`);
  if (name === '--help' || name === '-h' || name === 'help') {
    const [about] = rest;
    await cli.print(about === undefined || about.startsWith('-') ? help() : await helpOf(about));
    return 0;
  }
  if (name === '--version' || name === '-V') {
    await cli.print(`${(await import('../version.ts')).version}\n`);
    return 0;
  }
  const command = await find(name);
  const { values, positionals } = read(name, command, rest);
  if (values['help'] === true) {
    await cli.print(await helpOf(name));
    return 0;
  }
  return command.run(values, positionals, cli);
}

async function find(name: string): Promise<Command> {
  const known = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (known !== undefined) return known.load();
  const near = didYouMean(name, Object.keys(commands));
  const hint = near?.isClose ? `did you mean ${near.name}?` : `see ${program} --help`;
  throw new UsageError(`there is no command ${quoted(name)}: ${hint}`);
}

function read(name: string, command: Command, args: readonly string[]) {
  const flags: Record<string, Flag> = { ...command.flags, help: { type: 'boolean', short: 'h', describes: helpText } };
  const options = Object.fromEntries(
    Object.entries(flags).map(([flag, { type, short, multiple }]) => [
      flag,
      { type, ...(short !== undefined && { short }), ...(multiple && { multiple }) },
    ]),
  );
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(explain(error as NodeJS.ErrnoException, name, args, Object.keys(flags)));
  }
  const extra = parsed.positionals[command.positionals ?? 0];
  if (extra !== undefined && parsed.values['help'] !== true)
    throw new UsageError(`unexpected argument ${quoted(extra)}: see ${program} ${name} --help`);
  return { values: parsed.values, positionals: parsed.positionals };
}

function explain(
  { code, message }: NodeJS.ErrnoException,
  name: string,
  args: readonly string[],
  flags: readonly string[],
): string {
  const see = `see ${program} ${name} --help`;
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${printable(message.split('. ')[0] ?? message)}: ${see}`;
  const given = args.find((arg) => message.includes(`'${arg.split('=')[0]}'`))?.split('=')[0] ?? '';
  const near = didYouMean(given.replace(/^-+/, ''), flags);
  return `${name} has no option ${quoted(given)}: ${near?.isClose ? `did you mean --${near.name}? (${see})` : see}`;
}

const quoted = (text: string) => `"${printable(text, 60)}"`;

const helpText = 'show this help';

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    'Forwards the QA Sphere audit log to Splunk, syslog and stdout, without losing a record.',
    '',
    `Usage: ${program} COMMAND [options]`,
    '',
    ...rows,
    '',
    `${program} COMMAND --help describes a command; --version prints the version.`,
    `To try it out: ${program} demo`,
    '',
  ].join('\n');
}

async function helpOf(name: string): Promise<string> {
  const command = await find(name);
  const flags: [string, Flag][] = [
    ...Object.entries(command.flags),
    ['help', { type: 'boolean', short: 'h', describes: helpText }],
  ];
  const rows = flags.map(([flag, { short, value, describes }]) => {
    const names = `${short === undefined ? '    ' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`;
    return [names, describes] as const;
  });
  const width = Math.max(...rows.map(([names]) => names.length));
  return [
    `${program} ${name}: ${command.summary}`,
    '',
    `Usage: ${`${program} ${name} ${command.usage}`.trim()}`,
    '',
    ...rows.map(([names, describes]) => `  ${names.padEnd(width)}  ${describes}`),
    ...(command.notes === undefined ? [] : ['', command.notes]),
    '',
  ].join('\n');
}
