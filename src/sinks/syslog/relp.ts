import { printable } from '../../lib/printable.ts';
import type { Connection } from './connection.ts';
import { type ConnectionFailure, retryFault } from './failures.ts';
import { greatestTransaction, type RelpFrame, RelpParser, relpFrame } from './relp-frames.ts';

export interface RelpRules {
  /** The address as a log line shows it. */
  readonly where: string;
  /** `relp_software`: name,version,url. */
  readonly software: string;
  /** Longest wait for the next response, milliseconds. */
  readonly timeoutMs: number;
}

/** Unanswered frames at once, as librelp has it. */
const window = 128;
/** How long the response to `close` is waited for, milliseconds. */
const closeWaitMs = 1_000;

/** What became of the messages of one `transfer`, in their order. */
export interface Transfer {
  /** True where the server answered 200. */
  readonly acknowledged: readonly boolean[];
  /** The first that was answered otherwise, and how. */
  readonly refused?: { readonly index: number; readonly answer: string };
  /** The session is over. */
  readonly fault?: ConnectionFailure;
}

/**
 * A RELP client's session (the protocol of rsyslog's librelp, version 0): offers on opening, a window of unanswered
 * frames, an answer to each. Modes: opening → open → over, when the connection is lost, the server hints its close, or
 * it does not speak RELP.
 */
export class RelpSession {
  readonly #wire: Connection;
  readonly #rules: RelpRules;
  readonly #parser = new RelpParser();
  readonly #waiting = new Map<number, (answer: string | undefined) => void>();
  #transaction = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(wire: Connection, rules: RelpRules) {
    this.#wire = wire;
    this.#rules = rules;
    wire.onData((chunk) => this.#take(chunk));
    wire.whenOver(() => {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      this.#expect();
      for (const settle of waiting) settle(undefined);
    });
  }

  /** Opens a session on a new connection, or says why there is none; the connection is then over too. Never rejects. */
  static async open(wire: Connection, rules: RelpRules): Promise<RelpSession | ConnectionFailure> {
    const session = new RelpSession(wire, rules);
    const offers = `relp_version=0\nrelp_software=${rules.software}\ncommands=syslog`;
    const answer = await session.#ask('open', Buffer.from(offers, 'utf8'));
    if (answer === undefined) return session.#fault;
    const fault = refusal(answer, rules.where);
    if (fault === undefined) return session;
    wire.destroy(fault);
    return fault;
  }

  get isOver(): boolean {
    return this.#wire.isOver;
  }

  /** Sends the messages in order, at most a window ahead of the answers; a refusal stops what is not yet sent. Never rejects. */
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
      const answered = this.#ask('syslog', message).then((answer) => {
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
      ...(this.isOver && acknowledged.includes(false) && { fault: this.#fault }),
    };
  }

  /** Says `close` and waits a little for the answer. Never rejects. */
  async close(): Promise<void> {
    if (this.isOver) return;
    const over = new Promise<void>((resolve) => this.#wire.whenOver(resolve));
    const answer = this.#ask('close', Buffer.alloc(0));
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeWaitMs);
    });
    await Promise.race([answer, over, patience]);
    clearTimeout(timer);
    this.#wire.destroy();
  }

  /** Ends without a word. */
  abandon(): void {
    this.#wire.destroy();
  }

  get #fault(): ConnectionFailure {
    return this.#wire.fault ?? retryFault('network', `${this.#rules.where}: the session is over`);
  }

  /** The answer's data, or undefined where the session ends without one. */
  #ask(command: string, data: Buffer): Promise<string | undefined> {
    if (this.isOver) return Promise.resolve(undefined);
    this.#transaction = this.#transaction >= greatestTransaction ? 1 : this.#transaction + 1;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#waiting.set(this.#transaction, resolve);
    if (this.#timer === undefined) this.#expect();
    this.#wire.push(relpFrame(this.#transaction, command, data));
    return promise;
  }

  #expect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    const { timeoutMs, where } = this.#rules;
    const detail = `${where}: no answer for ${timeoutMs} ms${this.#transaction === 1 ? ' (does it speak RELP there?)' : ''}`;
    this.#timer = setTimeout(() => this.#wire.destroy(retryFault('timeout', detail)), timeoutMs);
  }

  #take(chunk: Buffer): void {
    const frames = this.#parser.push(chunk);
    if (frames === undefined) this.#wire.destroy(notRelp(this.#rules.where));
    for (const frame of frames ?? []) this.#handle(frame);
  }

  #handle(frame: RelpFrame): void {
    if (frame.command === 'serverclose')
      this.#wire.destroy(retryFault('network', `${this.#rules.where}: the collector closed the session`));
    const settle = frame.command === 'rsp' ? this.#waiting.get(frame.transaction) : undefined;
    if (settle === undefined) return;
    this.#waiting.delete(frame.transaction);
    this.#expect();
    settle(frame.data.toString('utf8'));
  }
}

/** A status of 200, whatever follows it. */
const isOk = (answer: string) => /^200(?!\d)/.test(answer);

/** What an answer to `open` forbids; undefined where the session is usable. */
function refusal(answer: string, where: string): ConnectionFailure | undefined {
  if (!isOk(answer)) return retryFault('server', `${where}: the collector refused the session: ${printable(answer)}`);
  const commands = /^commands=(.*)$/m.exec(answer)?.[1] ?? '';
  if (commands.split(',').some((command) => command.trim() === 'syslog')) return undefined;
  const detail = `${where}: the collector offers no RELP command "syslog": ${printable(answer)}`;
  return { code: 'ERR_RELP_OFFERS', verdict: { kind: 'stop', reason: 'address', detail } };
}

const notRelp = (where: string): ConnectionFailure => ({
  code: 'ERR_RELP_FRAME',
  verdict: { kind: 'stop', reason: 'address', detail: `${where} does not speak RELP: use the port of its imrelp` },
});
