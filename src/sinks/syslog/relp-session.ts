import { printable } from '../../lib/printable.ts';
import type { Connection } from './connection.ts';
import { type ConnectionFailure, retryFailure } from './failures.ts';
import { maxTransaction, type RelpFrame, RelpParser, relpFrame } from './relp-frames.ts';

export interface RelpOptions {
  /** The address as log lines show it. */
  readonly where: string;
  /** `relp_software`: name,version,url. */
  readonly software: string;
  /** How long neither an answer may arrive nor what we write make progress, milliseconds. */
  readonly timeoutMs: number;
}

/** Unanswered frames at a time, as in librelp. */
const window = 128;
/** How long to wait for the answer to `close`, milliseconds. */
const closeWaitMs = 1_000;

/** What became of the messages of one `transfer`, in their order. */
export interface Transfer {
  /** True if the server answered 200. */
  readonly acknowledged: readonly boolean[];
  /** The first that was answered otherwise, and the answer. */
  readonly refused?: { readonly index: number; readonly answer: string };
  /** The session is over. */
  readonly failure?: ConnectionFailure;
}

/**
 * A client's session of RELP version 0, the protocol of rsyslog's librelp: offers when it opens, a window of unanswered frames,
 * an answer to each.
 *
 * States: opening → open, on an answer of 200 that offers `syslog`; opening or open → over, if the connection is lost, the
 * server announces its close (`serverclose`), sends something that is not RELP, or makes no progress for the timeout.
 */
export class RelpSession {
  readonly #connection: Connection;
  readonly #options: RelpOptions;
  readonly #parser = new RelpParser();
  readonly #waiting = new Map<number, (answer: string | undefined) => void>();
  #transaction = 0;
  #answers = 0;
  #stopWatching: (() => void) | undefined;

  private constructor(connection: Connection, options: RelpOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.onData((chunk) => this.#receive(chunk));
    connection.whenOver(() => {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      this.#watch();
      for (const settle of waiting) settle(undefined);
    });
  }

  /** Opens a session on a new connection; if that fails the connection is over too. Never rejects. */
  static async open(connection: Connection, options: RelpOptions): Promise<RelpSession | ConnectionFailure> {
    const session = new RelpSession(connection, options);
    const offers = `relp_version=0\nrelp_software=${options.software}\ncommands=syslog`;
    const answer = await session.#request('open', Buffer.from(offers, 'utf8'));
    if (answer === undefined) return session.#failure;
    const failure = refusal(answer, options.where);
    if (failure === undefined) return session;
    connection.destroy(failure);
    return failure;
  }

  get isOver(): boolean {
    return this.#connection.isOver;
  }

  /** Sends the messages in order, at most a window ahead of the answers. After a refusal nothing more is sent. Never rejects. */
  async transfer(messages: readonly Buffer[]): Promise<Transfer> {
    const acknowledged = messages.map(() => false);
    const answers: Promise<void>[] = [];
    let refused: Transfer['refused'];
    let open = 0;
    let moved = Promise.withResolvers<void>();
    for (const [index, message] of messages.entries()) {
      while (open >= window && refused === undefined) await moved.promise;
      if (refused !== undefined || this.isOver) break;
      open++;
      const answered = this.#request('syslog', message).then((answer) => {
        open--;
        if (answer !== undefined && isOk(answer)) acknowledged[index] = true;
        else if (answer !== undefined) refused ??= { index, answer: printable(answer) };
        moved.resolve();
        moved = Promise.withResolvers<void>();
      });
      answers.push(answered);
    }
    await Promise.all(answers);
    return {
      acknowledged,
      ...(refused !== undefined && { refused }),
      ...(this.isOver && acknowledged.includes(false) && { failure: this.#failure }),
    };
  }

  /** Sends `close` and waits a moment for the answer. Never rejects. */
  async close(): Promise<void> {
    if (this.isOver) return;
    const over = new Promise<void>((resolve) => this.#connection.whenOver(resolve));
    const answer = this.#request('close', Buffer.alloc(0));
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeWaitMs);
    });
    await Promise.race([answer, over, patience]);
    clearTimeout(timer);
    this.#connection.destroy();
  }

  /** Ends the session without `close`. */
  abandon(): void {
    this.#connection.destroy();
  }

  get #failure(): ConnectionFailure {
    return this.#connection.failure ?? retryFailure('network', `${this.#options.where}: the session is over`);
  }

  /** The answer's data; undefined if the session ends without one. */
  #request(command: string, data: Buffer): Promise<string | undefined> {
    if (this.isOver) return Promise.resolve(undefined);
    this.#transaction = this.#transaction >= maxTransaction ? 1 : this.#transaction + 1;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#waiting.set(this.#transaction, resolve);
    this.#watch();
    this.#connection.push(relpFrame(this.#transaction, command, data));
    return promise;
  }

  /** Watches the connection while answers are missing. */
  #watch(): void {
    const isWaiting = this.#waiting.size > 0;
    if (isWaiting === (this.#stopWatching !== undefined)) return;
    this.#stopWatching?.();
    this.#stopWatching = isWaiting
      ? this.#connection.onStall(
          () => this.#onStall(),
          () => this.#answers,
        )
      : undefined;
  }

  #onStall(): void {
    const { timeoutMs, where } = this.#options;
    const hint = this.#transaction === 1 ? ' (does it speak RELP there?)' : '';
    this.#connection.destroy(retryFailure('timeout', `${where}: no answer for ${timeoutMs} ms${hint}`));
  }

  #receive(chunk: Buffer): void {
    const frames = this.#parser.push(chunk);
    if (frames === undefined) this.#connection.destroy(notRelp(this.#options.where));
    for (const frame of frames ?? []) this.#handle(frame);
  }

  #handle(frame: RelpFrame): void {
    if (frame.command === 'serverclose')
      this.#connection.destroy(retryFailure('network', `${this.#options.where}: the collector closed the session`));
    const settle = frame.command === 'rsp' ? this.#waiting.get(frame.transaction) : undefined;
    if (settle === undefined) return;
    this.#waiting.delete(frame.transaction);
    this.#answers++;
    this.#watch();
    settle(frame.data.toString('utf8'));
  }
}

/** A status of 200, whatever follows it. */
const isOk = (answer: string) => /^200(?!\d)/.test(answer);

/** Why an answer to `open` makes the session unusable; undefined if it does not. */
function refusal(answer: string, where: string): ConnectionFailure | undefined {
  if (!isOk(answer)) return retryFailure('server', `${where}: the collector refused the session: ${printable(answer)}`);
  const commands = /^commands=(.*)$/m.exec(answer)?.[1] ?? '';
  if (commands.split(',').some((command) => command.trim() === 'syslog')) return undefined;
  const detail = `${where}: the collector offers no RELP command "syslog": ${printable(answer)}`;
  return { code: 'ERR_RELP_OFFERS', verdict: { kind: 'stop', reason: 'address', detail } };
}

const notRelp = (where: string): ConnectionFailure => ({
  code: 'ERR_RELP_FRAME',
  verdict: { kind: 'stop', reason: 'address', detail: `${where} does not speak RELP: use the port of its RELP input` },
});
