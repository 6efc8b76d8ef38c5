import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { linesIn } from '../fixtures/collectors.ts';
import type { ReceivedRecord } from './checker.ts';
import { evidenceIn } from './seals.ts';

/** The program under test. TORTURE_PROGRAM names another main file, for a planted bug. */
const program = process.env['TORTURE_PROGRAM'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** A source module of the program under test, from the copy with the planted bug if there is one. */
export const sourceModule = (name: string): string =>
  pathToFileURL(program.endsWith('.ts') ? join(program, '..', name) : join(import.meta.dirname, '../../src', name))
    .href;

const preload = new URL('./preload.ts', import.meta.url).href;

/** A network namespace that the program is started in: TORTURE_NETNS names it. */
const namespace = process.env['TORTURE_NETNS'];
const within = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];

export const key = 'SIEM-LOG-ONLY-canary-9c2e77b1d4';

/** How one run ended. */
export interface Ended {
  readonly code: number | NodeJS.Signals;
  readonly stderr: string;
}

export interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stderr(): string;
}

export interface Settings {
  readonly url: string;
  readonly pageSize: number;
  /** Configuration entry by sink name. */
  readonly sinks: Readonly<Record<string, string>>;
  /** Further keys of the source block. */
  readonly more?: string;
  /** Log level. Default: trace. */
  readonly level?: string;
}

/** A directory with a configuration, a state directory and the program's output. Disposal deletes it. */
export class Workspace implements Disposable {
  readonly directory: string;
  readonly state: string;
  readonly config: string;

  readonly #evidence: string;

  /** @param above parent of the state directory. Default: the workspace itself. */
  constructor(above?: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'torture-'));
    this.state = join(above ?? this.directory, 'state');
    this.config = join(this.directory, 'config.yaml');
    this.#evidence = evidenceIn(this.directory);
  }

  /** PEM; verifies the seals. */
  get publicKey(): string {
    return readFileSync(join(this.directory, 'seal.pub'), 'utf8');
  }

  get checkpoints(): string {
    return join(this.state, 'checkpoints');
  }

  configure({ url, pageSize, sinks, more = '', level = 'trace' }: Settings): void {
    const entries = Object.entries(sinks).map(([name, entry]) => `  - { name: ${name}, ${entry} }\n`);
    writeFileSync(
      this.config,
      `source: { url: "${url}", apiKey: ${key}, requestsPerSecond: 20, pageSize: ${pageSize}, restrictedKey: off${more} }\nstate: { directory: "${this.state}" }\nlog: { level: ${level} }\n${this.#evidence}sinks:\n${entries.join('')}`,
      { mode: 0o600 },
    );
  }

  /** Starts the program, by default with the preload. Standard output is appended to `out.ndjson`. */
  start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    node: readonly string[] = ['--import', preload],
  ): Run {
    const out = openSync(join(this.directory, 'out.ndjson'), 'a', 0o600);
    const [command, ...line] = [...within, process.execPath, ...node, program, ...args, '-c', this.config];
    const child = spawn(command ?? process.execPath, line, {
      env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: join(tmpdir(), 'torture-compiled'), ...env },
      stdio: ['ignore', out, 'pipe'],
    });
    closeSync(out);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      // A long run drops its oldest output from memory; the file has everything.
      if (stderr.length > 2_000_000) stderr = stderr.slice(-1_000_000);
      appendFileSync(join(this.directory, 'stderr.log'), text);
    });
    const ended = new Promise<Ended>((resolve) => {
      child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'SIGKILL', stderr }));
    });
    return { child, ended, stderr: () => stderr };
  }

  once(env?: Readonly<Record<string, string>>, patience = '20s'): Promise<Ended> {
    return this.start(['once', '--patience', patience], env).ended;
  }

  /** Whether the checkpoint on disk covers an id; reads the previous generation if the newest is unreadable. */
  covers(sink: string): (id: bigint) => boolean {
    for (const name of [`${sink}.json`, `${sink}.previous.json`]) {
      try {
        const { after, delivered } = JSON.parse(readFileSync(join(this.checkpoints, name), 'utf8')) as {
          after: string;
          delivered: (string | [string, string])[];
        };
        const ranges = delivered.map((range) => (typeof range === 'string' ? [range, range] : range).map(BigInt));
        return (id) => id <= BigInt(after) || ranges.some(([from = 0n, to = 0n]) => from <= id && id <= to);
      } catch {
        // Try the previous generation.
      }
    }
    return () => false;
  }

  /** The events in the sink's dead-letter file. */
  deadLetters(sink: string): ReceivedRecord[] {
    return linesIn(join(this.state, 'dead-letter', `${sink}.ndjson`)).flatMap((line) => {
      const at = line.indexOf(',"event":');
      return at === -1 || !line.endsWith('}') ? [] : [{ text: line.slice(at + 9, -1) }];
    });
  }

  /** Called with each directory before it is deleted. */
  static onEnd: (directory: string) => void = () => {};

  [Symbol.dispose](): void {
    Workspace.onEnd(this.directory);
    if (!this.state.startsWith(this.directory)) Workspace.onEnd(this.state);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
