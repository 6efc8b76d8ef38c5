import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const cache = join(import.meta.dirname, '../../.cache/syslog-ng-with-http');
const packages = ['syslog-ng-core', 'syslog-ng-mod-http'];

/**
 * Where syslog-ng's files are. Debian's package conflicts with rsyslog's, so it is fetched with apt-get and unpacked
 * beside, once; undefined where that can't be done.
 */
function unpacked(): string | undefined {
  if (existsSync(join(cache, 'usr/sbin/syslog-ng'))) return cache;
  const download = mkdtempSync(join(tmpdir(), 'syslog-ng-'));
  try {
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    const quiet = { encoding: 'utf8', cwd: download, stdio, timeout: 50_000 } as const;
    const wanted = ['install', '--print-uris', '-qq', '-y', '--no-install-recommends', ...packages];
    const names = [...execFileSync('apt-get', wanted, quiet).matchAll(/^'[^']*' ([a-z0-9.+-]+)_/gm)].map(
      ([, name]) => `${name}`,
    );
    if (!packages.every((name) => names.includes(name))) return undefined;
    execFileSync('apt-get', ['download', '-qq', ...names], quiet);
    for (const file of readdirSync(download).filter((name) => name.endsWith('.deb')))
      execFileSync('dpkg', ['-x', file, 'root'], quiet);
    mkdirSync(join(cache, '..'), { recursive: true });
    renameOrGiveWay(join(download, 'root'));
    return cache;
  } catch {
    return undefined;
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

function renameOrGiveWay(root: string): void {
  const beside = `${cache}.${process.pid}`;
  execFileSync('cp', ['-a', root, beside]);
  try {
    renameSync(beside, cache);
  } catch {
    rmSync(beside, { recursive: true, force: true }); // another test process was faster
  }
}

/** Why syslog-ng can't be started here, or undefined if it can. */
export const syslogNgMissing: string | undefined = (() => {
  const root = unpacked();
  if (root === undefined) return 'Debian packages syslog-ng-core and syslog-ng-mod-http can’t be fetched with apt-get';
  try {
    execFileSync(join(root, 'usr/sbin/syslog-ng'), ['--version'], { env: environment(root), stdio: 'ignore' });
    return undefined;
  } catch {
    return 'Debian package syslog-ng-core does not run here';
  }
})();

function environment(root: string): NodeJS.ProcessEnv {
  const libraries = readdirSync(join(root, 'usr/lib'))
    .map((name) => join(root, 'usr/lib', name))
    .concat(readdirSync(join(root, 'lib')).map((name) => join(root, 'lib', name)));
  return { ...process.env, LD_LIBRARY_PATH: libraries.join(':') };
}

const modules = () => {
  const version = readdirSync(join(cache, 'usr/lib/syslog-ng')).find((name) => /^\d/.test(name)) ?? '';
  return `--module-path=${join(cache, 'usr/lib/syslog-ng', version)}`;
};

/** The command that starts syslog-ng with this configuration file and its state in `directory`; its pid file is `pidfile` there. */
export function syslogNgCommand(configuration: string, directory: string) {
  const places = ['persist-file', 'pidfile', 'control'].map((name) => `--${name}=${join(directory, name)}`);
  return {
    program: join(cache, 'usr/sbin/syslog-ng'),
    words: ['--foreground', '--no-caps', '--cfgfile', configuration, modules(), ...places],
    env: environment(cache),
  };
}

/** @throws if syslog-ng rejects this configuration */
export function checkSyslogNg(configuration: string, directory: string): void {
  const file = join(directory, 'syslog-ng.conf');
  writeFileSync(file, `@version: 3.38\n${configuration}`);
  const words = [
    '--syntax-only',
    '--no-caps',
    '--cfgfile',
    file,
    modules(),
    `--persist-file=${join(directory, 'persist')}`,
  ];
  execFileSync(join(cache, 'usr/sbin/syslog-ng'), words, { env: environment(cache), stdio: 'pipe' });
}

/** One record as syslog-ng's own parser understood it. */
export interface SyslogNgLine {
  readonly pri: string;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly msgid: string;
  readonly msg: string;
  /** Parameters of our structured data element. */
  readonly sd: Readonly<Record<string, string>>;
}

export interface SyslogNg extends AsyncDisposable {
  /** The first `count` records, once they have arrived. @throws if they do not arrive within `timeoutMs` */
  waitForLines(count: number, timeoutMs?: number): Promise<SyslogNgLine[]>;
  /** What syslog-ng logged about itself. */
  errors(): string;
}

/** Starts a syslog-ng whose source is `source`, for example `syslog(ip("127.0.0.1") port(1234))`. */
export async function startSyslogNg(
  source: string,
  ready: { readonly port?: number; readonly path?: string },
): Promise<SyslogNg> {
  const directory = mkdtempSync(join(tmpdir(), 'syslog-ng-'));
  const at = (name: string) => join(directory, name);
  const pairs = ['id', 'action', 'user', 'src', 'tenant', 'truncated'].map(
    (name) => `--pair sd.${name}="\${.SDATA.qasphere@32473.${name}}"`,
  );
  const template = `$(format-json --pair pri="$PRI" --pair time="$S_ISODATE" --pair host="$HOST" --pair app="$PROGRAM" --pair msgid="$MSGID" --pair msg="$MSG" ${pairs.join(' ')})`;
  writeFileSync(
    at('conf'),
    `@version: 3.38
options { keep-hostname(yes); flush-lines(1); stats-freq(0); frac-digits(3); time-zone("UTC"); };
source s { ${source}; };
destination d { file("${at('out')}" template('${template}\n') template-escape(no)); };
log { source(s); destination(d); };
`,
  );
  const { program, words, env } = syslogNgCommand(at('conf'), directory);
  const child: ChildProcess = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000);
    });
  const { path, port } = ready;
  await until(
    async () => existsSync(at('pidfile')) && (path === undefined ? connects(port) : existsSync(path)),
    10_000,
    () => said,
  );
  const lines = async () => {
    const text = await readFile(at('out'), 'utf8').catch(() => '');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return whole.filter((line) => line !== '').map((line) => JSON.parse(line) as SyslogNgLine);
  };
  return {
    errors: () => said,
    async waitForLines(count, timeoutMs = 20_000) {
      let found: SyslogNgLine[] = [];
      const enough = async () => {
        found = await lines();
        return found.length >= count;
      };
      await until(enough, timeoutMs, () => `${found.length} of ${count} records came; ${said}`);
      return found;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill();
        await once(child, 'exit');
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function connects(port: number | undefined): Promise<boolean> {
  if (port === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function until(condition: () => Promise<boolean>, timeoutMs: number, why: () => string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`syslog-ng: ${why()}`);
    await wait(25);
  }
}
