import { parseArgs } from 'node:util';
import { didYouMean } from '../lib/did-you-mean.ts';
import { printable } from '../lib/printable.ts';
import { type CliContext, type Command, type Flag, UsageError } from './command.ts';

/** Loaded when asked for: a quick command does not wait for the parts of a long one. */
const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  run: { summary: 'the daemon', load: async () => (await import('./run.ts')).runCommand },
  once: {
    summary: 'catch up with the newest event, then exit',
    load: async () => (await import('./once.ts')).onceCommand,
  },
  check: {
    summary: 'try everything the configuration promises, and move nothing',
    load: async () => (await import('./check/command.ts')).checkCommand,
  },
  replay: {
    summary: 'deliver a range of events to one sink again',
    load: async () => (await import('./replay/command.ts')).replayCommand,
  },
  cursor: {
    summary: 'list the cursors of the sinks, or move them',
    load: async () => (await import('./cursor/command.ts')).cursorCommand,
  },
  status: {
    summary: 'cursors, lag and last error of each sink',
    load: async () => (await import('./status/command.ts')).statusCommand,
  },
  simulate: {
    summary: 'a QA Sphere audit-log API on loopback',
    load: async () => (await import('./simulate.ts')).simulateCommand,
  },
  demo: {
    summary: 'see records flow: no key, no configuration',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
  schema: {
    summary: 'JSON Schema of the configuration',
    load: async () => (await import('./schema.ts')).schemaCommand,
  },
};

const program = 'qasphere-siem-forwarder';

/** Finds the command, reads its flags, runs it. @returns the exit code @throws {UsageError} */
export async function dispatch(argv: readonly string[], cli: CliContext): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined)
    throw new UsageError(`which command? ${Object.keys(commands).join(', ')} (--help tells more)`);
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
  throw new UsageError(
    `there is no command ${quoted(name)}: did you mean ${didYouMean(name, Object.keys(commands))?.name}?`,
  );
}

function read(name: string, command: Command, args: readonly string[]) {
  const flags: Record<string, Flag> = { ...command.flags, help: { type: 'boolean', short: 'h', describes: 'this' } };
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
    throw new UsageError(`${name} takes no ${quoted(extra)}: see ${program} ${name} --help`);
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
  const near = didYouMean(given.replace(/^-+/, ''), flags)?.name;
  return `${name} has no option ${quoted(given)}: did you mean --${near}? (${see})`;
}

const quoted = (text: string) => `"${printable(text, 60)}"`;

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    'Forwards the QA Sphere audit log to Splunk, syslog and stdout, without losing a record.',
    '',
    `usage: ${program} COMMAND [options]`,
    '',
    ...rows,
    '',
    `${program} COMMAND --help tells more; --version tells the version.`,
    '',
  ].join('\n');
}

async function helpOf(name: string): Promise<string> {
  const command = await find(name);
  const flags: [string, Flag][] = [
    ...Object.entries(command.flags),
    ['help', { type: 'boolean', short: 'h', describes: 'this text' }],
  ];
  const rows = flags.map(([flag, { short, value, describes }]) => {
    const names = `${short === undefined ? '    ' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`;
    return [names, describes] as const;
  });
  const width = Math.max(...rows.map(([names]) => names.length));
  return [
    `${program} ${name}: ${command.summary}`,
    '',
    `usage: ${`${program} ${name} ${command.usage}`.trim()}`,
    '',
    ...rows.map(([names, describes]) => `  ${names.padEnd(width)}  ${describes}`),
    ...(command.notes === undefined ? [] : ['', command.notes]),
    '',
  ].join('\n');
}
