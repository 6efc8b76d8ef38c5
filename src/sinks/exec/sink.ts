import type { Batch } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import { printable } from '../../lib/printable.ts';
import { untilAborted } from '../../lib/shutdown.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { type BatchLimits, exceeds, type Sent, type Sink, type SinkDeps } from '../sink.ts';
import type { ExecOptions } from './options.ts';
import { Program, startVerdict } from './program.ts';

/** Until the program says what it takes. */
const defaultLimits = { maxEvents: 1000, maxBytes: 1024 ** 2 };

/**
 * Hands batches to a program of the user's over its standard input, and reads verdicts from its standard output. The
 * program is started when it is first needed, and again by the next attempt after it ended: the queue's backoff is the pause.
 */
export class ExecSink implements Sink {
  readonly #options: ExecOptions;
  readonly #deps: SinkDeps;
  readonly #programs = new Set<Program>();
  #current: Program | undefined;
  #window = 1;
  #limits: BatchLimits = defaultLimits;
  /** Fires when there is no time left. */
  #forced: AbortSignal = new AbortController().signal;
  #change = Promise.withResolvers<void>();

  constructor(options: ExecOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get window(): number {
    return this.#window;
  }

  get limits(): BatchLimits {
    return this.#limits;
  }

  async send(batch: Batch, forced: AbortSignal): Promise<Verdict | Sent> {
    const program = await this.#ready(forced);
    if (!(program instanceof Program)) return program;
    // Composed before the program said what it takes.
    if (exceeds(batch, this.#limits))
      return { kind: 'retry', reason: 'too_large', detail: 'the program takes less at once', narrow: true };
    return this.#deliver(
      program,
      batch.records.map(({ event, record }) => ({ id: String(event.id), record: record.toString('utf8') })),
      forced,
    );
  }

  /** A status record is a batch of one record whose id is `forwarder`. */
  async sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict | Sent> {
    const program = await this.#ready(forced);
    if (!(program instanceof Program)) return program;
    return this.#deliver(program, [{ id: 'forwarder', record: statusRecordText(record) }], forced);
  }

  /** Starts the program and waits until it is ready. */
  async probe(forced: AbortSignal): Promise<Verdict> {
    const program = await this.#ready(forced);
    return program instanceof Program ? accepted : program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#programs].map((program) => this.#close(program)));
  }

  /** The running program, started if there is none; or the verdict if it does not get ready. */
  async #ready(forced: AbortSignal): Promise<Program | Verdict> {
    forced.throwIfAborted();
    this.#forced = forced;
    if (this.#current?.isOver) void this.#close(this.#current);
    if (this.#current === undefined || this.#current.isOver) {
      try {
        this.#current = new Program(this.#options, this.#deps);
      } catch (error) {
        // Node reports some failures to start a program (E2BIG) by a throw.
        if (!(error instanceof Error && 'syscall' in error)) throw error;
        return startVerdict(
          `the program ${printable(this.#options.command[0] ?? '', 100)}`,
          error as NodeJS.ErrnoException,
        );
      }
      this.#programs.add(this.#current);
    }
    const program = this.#current;
    const result = await untilAborted(forced, program.ready);
    forced.throwIfAborted();
    if (result === undefined || 'kind' in result)
      return result ?? { kind: 'retry', reason: 'timeout', detail: 'stopped' };
    this.#window = result.window;
    this.#limits = { maxEvents: result.maxEvents, maxBytes: result.maxBytes };
    return program;
  }

  async #deliver(program: Program, records: Parameters<Program['send']>[0], forced: AbortSignal): Promise<Sent> {
    while (program.waiting >= this.#window) {
      await untilAborted(forced, this.#change.promise);
      forced.throwIfAborted();
    }
    const verdict = program.send(records).finally(() => {
      this.#change.resolve();
      this.#change = Promise.withResolvers();
    });
    const confirmed = untilAborted(forced, verdict).then((result) => {
      if (result !== undefined) return result;
      // It may still work on the batch, and would hold up the next one.
      program.abandon();
      throw forced.reason;
    });
    confirmed.catch(() => {}); // for the caller
    return { kind: 'sent', confirmed };
  }

  async #close(program: Program): Promise<void> {
    await program.close(this.#forced);
    this.#programs.delete(program);
  }
}
