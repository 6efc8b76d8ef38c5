import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const programs = ['/usr/sbin/rsyslogd', '/usr/local/sbin/rsyslogd', '/sbin/rsyslogd'];
const moduleDirectories = [
  '/usr/lib/x86_64-linux-gnu/rsyslog',
  '/usr/lib/aarch64-linux-gnu/rsyslog',
  '/usr/lib/rsyslog',
];

/** Path of rsyslogd, or undefined if it is not installed. */
export const rsyslogProgram = (): string | undefined => programs.find(existsSync);

/** Why rsyslog can't be started here with these modules, or undefined if it can. */
export function rsyslogMissing(...modules: readonly string[]): string | undefined {
  if (rsyslogProgram() === undefined) return 'Debian package rsyslog is not installed';
  const packages: Readonly<Record<string, string>> = {
    imrelp: 'rsyslog-relp',
    lmnsd_ossl: 'rsyslog-openssl',
    lmnsd_gtls: 'rsyslog-gnutls',
  };
  for (const module of modules)
    if (!moduleDirectories.some((directory) => existsSync(join(directory, `${module}.so`))))
      return `Debian package ${packages[module] ?? 'rsyslog'} (${module}.so) is not installed`;
  return undefined;
}

export interface RsyslogInput {
  readonly type: 'imtcp' | 'imudp' | 'imrelp' | 'imuxsock';
  /** Parameters of the input besides its address, port or socket. */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface RsyslogOptions {
  /** Default: one imtcp. */
  readonly inputs?: readonly RsyslogInput[];
  /** Parameters of `global(...)`, for example maxMessageSize. */
  readonly global?: Readonly<Record<string, string>>;
  /** Parameters of the modules, by name. */
  readonly modules?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** One record as rsyslog's own parser understood it. */
export interface RsyslogLine {
  readonly pri: string;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly procid: string;
  readonly msgid: string;
  readonly sd: string;
  /** Parameters of our structured data element, as rsyslog's mmpstrucdata read them. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly msg: string;
}

export interface Rsyslog {
  /** Port of the first input. */
  readonly port: number;
  /** Port of each input; 0 for imuxsock. */
  readonly ports: readonly number[];
  /** Socket path of each imuxsock; '' for the others. */
  readonly paths: readonly string[];
  readonly pid: number | undefined;
  /** Everything written so far, in order of arrival. */
  lines(): Promise<RsyslogLine[]>;
  /** `lines`, once there are at least `count`. @throws if they do not arrive within `timeoutMs` */
  waitForLines(count: number, timeoutMs?: number): Promise<RsyslogLine[]>;
  /** Resolves once at least `count` records were written, whatever they are. @throws as `waitForLines` */
  waitForCount(count: number, timeoutMs?: number): Promise<void>;
  /** SIGTERM, wait for its end, start again on the same ports. */
  restart(): Promise<void>;
  /** SIGTERM and wait. */
  terminate(): Promise<void>;
  /** SIGKILL and wait. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGTERM, wait, remove its directory. */
  stop(): Promise<void>;
  /** What rsyslog logged about itself. */
  errors(): string;
}

function lineOf(text: string): RsyslogLine {
  const { params, ...line } = JSON.parse(text) as RsyslogLine & { readonly params: string };
  const elements = params === '' ? {} : (JSON.parse(params) as Record<string, Record<string, string>>);
  return { ...line, parameters: elements['qasphere@32473'] ?? {} };
}

/** Starts an rsyslogd on loopback with its own configuration, which writes everything it receives to a file. */
export async function startRsyslog(options: RsyslogOptions = {}): Promise<Rsyslog> {
  const inputs = options.inputs ?? [{ type: 'imtcp' }];
  const directory = await mkdtemp(join(tmpdir(), 'rsyslog-'));
  const ports = await Promise.all(inputs.map((input) => freePort(input.type)));
  const control = await freePort('imtcp');
  const paths = inputs.map((input, index) => (input.type === 'imuxsock' ? join(directory, `socket${index}`) : ''));
  const out = join(directory, 'out');
  await writeFile(join(directory, 'rsyslog.conf'), configuration(inputs, ports, paths, control, directory, options));

  let child: ChildProcess | undefined;
  let said = '';
  const end = async (signal: NodeJS.Signals) => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    ending.kill(signal);
    await once(ending, 'exit');
  };
  const start = async () => {
    const program = rsyslogProgram();
    if (program === undefined) throw new Error('rsyslog is not installed');
    await rm(join(directory, 'pid'), { force: true });
    const started = spawn(program, ['-n', '-C', '-f', join(directory, 'rsyslog.conf'), '-i', join(directory, 'pid')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-10_000);
      });
    child = started;
    await until(async () => {
      if (started.exitCode !== null || started.signalCode !== null) throw new Error(`rsyslogd ended at once: ${said}`);
      return (await connects(control)) && paths.every((path) => path === '' || existsSync(path));
    }, 15_000);
  };
  const lines = async () => {
    const text = await readFile(out, 'utf8').catch(() => '');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return whole.filter((line) => line !== '').map((line) => lineOf(line));
  };
  await start();
  return {
    port: ports[0] ?? 0,
    ports,
    paths,
    get pid() {
      return child?.pid;
    },
    lines,
    async waitForLines(count, timeoutMs = 20_000) {
      let found: RsyslogLine[] = [];
      let size = -1;
      await until(async () => {
        const now = (await stat(out).catch(() => undefined))?.size ?? 0;
        if (now !== size) found = await lines();
        size = now;
        return found.length >= count;
      }, timeoutMs).catch(() => {
        throw new Error(`${found.length} of ${count} records arrived; rsyslogd logged: ${said}`);
      });
      return found;
    },
    async waitForCount(count, timeoutMs = 20_000) {
      let found = 0;
      let offset = 0;
      await until(async () => {
        const file = await open(out).catch(() => undefined);
        if (file === undefined) return false;
        for (const chunk = Buffer.alloc(1024 ** 2); ; ) {
          const { bytesRead } = await file.read(chunk, 0, chunk.length, offset);
          for (let at = chunk.indexOf(10); at >= 0 && at < bytesRead; at = chunk.indexOf(10, at + 1)) found++;
          offset += bytesRead;
          if (bytesRead === 0) break;
        }
        await file.close();
        return found >= count;
      }, timeoutMs).catch(() => {
        throw new Error(`${found} of ${count} records arrived; rsyslogd logged: ${said}`);
      });
    },
    async restart() {
      await end('SIGTERM');
      await start();
    },
    terminate: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      await end('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
    errors: () => said,
  };
}

const template = [
  'pri',
  'timereported:time',
  'hostname:host',
  'app-name:app',
  'procid',
  'msgid',
  'structured-data:sd',
  '$!rfc5424-sd:params',
  'msg',
]
  .map((field) => field.split(':'))
  .map(([name, out = name]) =>
    name === 'timereported'
      ? `property(name="${name}" outname="${out}" format="jsonf" dateFormat="rfc3339")`
      : `property(name="${name}" outname="${out}" format="jsonf")`,
  )
  .join(' constant(value=",") ');

function configuration(
  inputs: readonly RsyslogInput[],
  ports: readonly number[],
  paths: readonly string[],
  control: number,
  directory: string,
  options: RsyslogOptions,
): string {
  const parameters = (given: Readonly<Record<string, string>> = {}) =>
    Object.entries(given)
      .map(([name, value]) => ` ${name}="${value}"`)
      .join('');
  const modules = new Set<string>(['imtcp', ...inputs.map((input) => input.type)]);
  const where = (input: RsyslogInput, index: number) =>
    input.type === 'imuxsock'
      ? ` socket="${paths[index]}" rateLimit.interval="0"`
      : ` address="127.0.0.1" port="${ports[index]}"`;
  return `global(workDirectory="${directory}"${parameters(options.global)})
main_queue(queue.size="200000" queue.timeoutShutdown="20000")
${[...modules].map((name) => `module(load="${name}"${name === 'imuxsock' ? ' SysSock.Use="off"' : ''}${parameters(options.modules?.[name])})`).join('\n')}
template(name="parsed" type="list") { constant(value="{") ${template} constant(value="}\\n") }
module(load="mmpstrucdata")
ruleset(name="all") { action(type="mmpstrucdata") action(type="omfile" file="${directory}/out" template="parsed") }
ruleset(name="none") { stop }
input(type="imtcp" address="127.0.0.1" port="${control}" ruleset="none")
${inputs.map((input, index) => `input(type="${input.type}"${where(input, index)} ruleset="all"${parameters(input.parameters)})`).join('\n')}
`;
}

/** A loopback port that is free now. */
export async function freePort(type: RsyslogInput['type']): Promise<number> {
  if (type === 'imuxsock') return 0;
  if (type === 'imudp') {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(resolve));
    return port;
  }
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not happen in time');
    await wait(25);
  }
}
