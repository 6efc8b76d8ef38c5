import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { printable } from '../../lib/printable.ts';
import { withoutSecret } from '../../lib/secret.ts';
import type { Retry, Stop, Verdict } from '../../lib/verdict.ts';
import type { SinkDeps } from '../sink.ts';
import type { ExecOptions } from './options.ts';
import { contract, MAX_LINE_BYTES, type Ready, readLine } from './protocol.ts';

/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5_000;
/** From the end of input to SIGTERM. */
const CLOSE_MS = 1_000;
const MAX_LOG_LINE_BYTES = 8 * 1024;
const passedOn = ['PATH', 'HOME', 'LANG', 'TZ'];

interface Waiting {
  readonly size: number;
  readonly settle: (verdict: Verdict) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * One run of the program. It starts when it is made, and is *ready* when the program says so. Batches are numbered from 1. When the
 * program ends, breaks the protocol or is late, the run is over for good: every batch that waits gets the verdict that
 * says why, and the program is ended.
 */
export class Program {
  /** The limits of the program, or the verdict if it never got so far. */
  readonly ready: Promise<Ready | Verdict>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #options: ExecOptions;
  readonly #deps: SinkDeps;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #becomeReady: (result: Ready | Verdict) => void = () => {};
  #batches = 0;
  #over: Retry | Stop | undefined;

  constructor(options: ExecOptions, deps: SinkDeps) {
    const { command, environment, confirmWithin } = options;
    const [program = '', ...args] = command;
    this.#options = options;
    this.#deps = deps;
    const inherited = passedOn.flatMap((name) =>
      deps.env[name] === undefined ? [] : [[name, deps.env[name]] as const],
    );
    const own = Object.entries(environment).map(([name, { current }]) => [name, current.reveal()] as const);
    this.#child = spawn(program, args, { stdio: 'pipe', env: Object.fromEntries([...inherited, ...own]) });
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    const late = setTimeout(() => this.#end(this.#late('is not ready')), confirmWithin);
    this.#exited = new Promise((resolve) => {
      this.#child.on('error', (error: NodeJS.ErrnoException) => {
        if (this.#child.pid === undefined) resolve();
        this.#end(startVerdict(this.#name, error));
      });
      this.#child.on('close', (code, signal) => {
        resolve();
        this.#end({
          kind: 'retry',
          reason: 'server',
          detail: `${this.#name} ended (${signal ?? `exit code ${code}`}); it is started again`,
        });
      });
    });
    void this.ready.then(() => clearTimeout(late));
    // A program that has ended can't be written to: `close` says so.
    this.#child.stdin.on('error', () => {});
    eachLine(
      this.#child.stdout,
      MAX_LINE_BYTES,
      (line) => this.#take(line),
      () => this.#end(this.#broken(`sent a line longer than ${MAX_LINE_BYTES} bytes`)),
    );
    eachLine(
      this.#child.stderr,
      MAX_LOG_LINE_BYTES,
      (line) => this.#log(line),
      () => {},
    );
    this.#write({ type: 'hello', contract, sink: deps.name, tenant: deps.tenant, options: options.options });
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The verdict on a batch: of the program, or on its end. */
  send(records: readonly { readonly id: string; readonly record: string }[]): Promise<Verdict> {
    if (this.#over !== undefined) return Promise.resolve(this.#over);
    const batch = ++this.#batches;
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const timer = setTimeout(
      () => this.#end(this.#late(`has no verdict on batch ${batch}`)),
      this.#options.confirmWithin,
    );
    this.#waiting.set(batch, { size: records.length, settle: resolve, timer });
    this.#write({ type: 'batch', batch, records });
    return promise;
  }

  /** Its verdicts are of no use any more: ends it. */
  abandon(): void {
    this.#end({ kind: 'retry', reason: 'timeout', detail: 'stopped' });
  }

  /** Ends the program: input first, then SIGTERM, then SIGKILL, or at once when `forced` fires. Resolves when it is gone. */
  async close(forced: AbortSignal): Promise<void> {
    if (this.#over === undefined) this.#write({ type: 'close' });
    this.#child.stdin.end();
    const terminate = setTimeout(() => this.#child.kill('SIGTERM'), CLOSE_MS);
    const kill = () => this.#child.kill('SIGKILL');
    const killLater = setTimeout(kill, CLOSE_MS + KILL_AFTER_MS);
    if (forced.aborted) kill();
    forced.addEventListener('abort', kill);
    await this.#exited;
    clearTimeout(terminate);
    clearTimeout(killLater);
    forced.removeEventListener('abort', kill);
  }

  get #name(): string {
    return `the program ${printable(this.#options.command[0] ?? '', 100)}`;
  }

  #late(what: string): Retry {
    return {
      kind: 'retry',
      reason: 'timeout',
      detail: `${this.#name} ${what} within ${this.#options.confirmWithin} ms; it is started again`,
    };
  }

  #broken(what: string): Retry {
    return { kind: 'retry', reason: 'malformed', detail: `${this.#name} ${what}; it is started again` };
  }

  #take(line: string): void {
    if (this.#over !== undefined) return;
    const message = readLine(this.#masked(line), (batch) => this.#waiting.get(batch)?.size);
    if (message.type === 'violation') {
      const { detail, isPermanent } = message;
      this.#end(
        isPermanent ? { kind: 'stop', reason: 'malformed', detail: `${this.#name} ${detail}` } : this.#broken(detail),
      );
    } else if (message.type === 'ready') this.#becomeReady(message);
    else {
      const waiting = this.#waiting.get(message.batch);
      this.#waiting.delete(message.batch);
      clearTimeout(waiting?.timer);
      waiting?.settle(message.verdict);
    }
  }

  /** The run is over, for this reason unless there was one before. */
  #end(verdict: Retry | Stop): void {
    this.#over ??= verdict;
    this.#becomeReady(this.#over);
    for (const { settle, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      settle(this.#over);
    }
    this.#waiting.clear();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS);
    void this.#exited.then(() => clearTimeout(kill));
  }

  #write(message: object): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  #log(line: string): void {
    const detail = printable(this.#masked(line), 1_000);
    if (detail.trim() !== '') this.#deps.emit({ event: 'sink.info', sink: this.#deps.name, topic: 'stderr', detail });
  }

  #masked(text: string): string {
    const secrets = Object.values(this.#options.environment).map(({ current }) => current);
    return secrets.reduce<Buffer>((bytes, secret) => withoutSecret(secret, bytes), Buffer.from(text)).toString('utf8');
  }
}

/** Errors of a system that has no room for another process just now. */
const temporary: readonly (string | undefined)[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

/** The verdict on a program that could not be started. */
export function startVerdict(name: string, { code, message }: NodeJS.ErrnoException): Retry | Stop {
  const detail = `${name} can't be started (${code ?? message})`;
  return temporary.includes(code)
    ? { kind: 'retry', reason: 'server', detail }
    : { kind: 'stop', reason: 'address', detail: `${detail}: correct command` };
}

/** Calls back with each line. One that is longer than `maxBytes` is dropped, and `onLong` called. */
function eachLine(
  stream: NodeJS.ReadableStream,
  maxBytes: number,
  onLine: (line: string) => void,
  onLong: () => void,
): void {
  let rest = '';
  let isLong = false;
  stream.setEncoding('utf8');
  stream.on('error', () => {}); // the program has ended: `close` follows
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!isLong) onLine(line);
      isLong = false;
    }
    if (rest.length <= maxBytes) return;
    if (!isLong) onLong();
    isLong = true;
    rest = '';
  });
}
