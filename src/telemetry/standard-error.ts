import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Where log lines and messages for a person go. */
export interface LogOutput {
  readonly isTerminal: boolean;
  /** Whether lines go to systemd's journal, which reads a priority at the start of each line. */
  readonly isJournal: boolean;
  /** Width of the terminal. */
  readonly columns: number;
  /** Lines dropped since the start. */
  readonly dropped: number;
  /** Writes text that ends with a line end, or a terminal's control sequence. Neither throws nor waits. */
  write(text: string): void;
  /** Sets what is called once there is room again after `lines` lines were dropped. */
  onRoom(listener: (lines: number) => void): void;
}

const stderr = 2;
/** Bytes that wait for the reader, at most. */
const MAX_BUFFERED = 1024 ** 2;
/** Wait before the next try, milliseconds; doubled while nothing can be written. */
const retryMs = { first: 5, longest: 200 };
/** How long `flush` waits for a reader that takes nothing, and in total, milliseconds. */
const flushMs = { stalled: 250, total: 1_000, step: 5 };

/**
 * Standard error, written without blocking: a reader that stalls (a container's log driver, a stopped terminal) must not
 * stop delivery, `/livez` or a signal.
 *
 * - Direct: nothing waits. A line is out when `write` returns, so a crash loses none.
 * - Buffering: the reader is behind, or the disk is full. Lines wait in order, up to MAX_BUFFERED; a timer tries again.
 * - Dropping: the buffer is full. Lines are dropped and counted until half of it is free. Then `onRoom` reports their
 *   number, so that the report follows the last line before the gap.
 */
export class StandardError implements LogOutput {
  readonly isTerminal = process.stderr.isTTY === true;
  readonly isJournal: boolean;
  readonly #fd = openNonBlocking();
  readonly #buffer: Buffer[] = [];
  #bufferedBytes = 0;
  #isDropping = false;
  #dropped = 0;
  #unreported = 0;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = retryMs.first;
  #onRoom: (lines: number) => void = () => {};

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.isJournal = isJournal(env);
  }

  get columns(): number {
    return process.stderr.columns || 80;
  }

  get dropped(): number {
    return this.#dropped;
  }

  onRoom(listener: (lines: number) => void): void {
    this.#onRoom = listener;
  }

  write(text: string): void {
    const line = Buffer.from(text);
    if (this.#isDropping || this.#bufferedBytes + line.length > MAX_BUFFERED) {
      this.#isDropping = true;
      this.#dropped += 1;
      this.#unreported += 1;
      return;
    }
    this.#buffer.push(line);
    this.#bufferedBytes += line.length;
    if (this.#timer === undefined) this.#writeBuffered();
  }

  /** Blocks for a short time to write what is buffered: call it when the process exits. */
  flush(): void {
    const startMs = performance.now();
    let progressMs = startMs;
    let before = this.#bufferedBytes;
    const clock = new Int32Array(new SharedArrayBuffer(4));
    while (this.#bufferedBytes > 0 && this.#writeBuffered() !== 'failed') {
      const now = performance.now();
      if (this.#bufferedBytes !== before) progressMs = now;
      before = this.#bufferedBytes;
      if (now - progressMs > flushMs.stalled || now - startMs > flushMs.total) break;
      if (before > 0) Atomics.wait(clock, 0, 0, flushMs.step);
    }
    clearTimeout(this.#timer);
  }

  /** Writes what the reader takes now. `failed`: it will not take more soon. */
  #writeBuffered(): 'written' | 'behind' | 'failed' {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const before = this.#bufferedBytes;
    let result: 'written' | 'behind' | 'failed' = 'written';
    for (let [line] = this.#buffer; line !== undefined && result === 'written'; [line] = this.#buffer)
      result = this.#writeFirst(line);
    if (result !== 'written') {
      this.#waitMs = this.#bufferedBytes < before ? retryMs.first : Math.min(retryMs.longest, this.#waitMs * 2);
      this.#timer = setTimeout(() => this.#writeBuffered(), this.#waitMs).unref();
    }
    if (this.#bufferedBytes <= MAX_BUFFERED / 2) this.#isDropping = false;
    const lines = this.#unreported;
    if (this.#isDropping || lines === 0) return result;
    this.#unreported = 0;
    this.#onRoom(lines);
    return result;
  }

  #writeFirst(line: Buffer): 'written' | 'behind' | 'failed' {
    try {
      const written = writeSync(this.#fd, line);
      this.#bufferedBytes -= written;
      if (written === line.length) this.#buffer.shift();
      else this.#buffer[0] = line.subarray(written);
      return 'written';
    } catch (error) {
      // For example ENOSPC, or EPIPE: the reader is gone.
      if (!('syscall' in (error as Error))) throw error;
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 'behind' : 'failed';
    }
  }
}

/**
 * A descriptor of standard error that does not block. A pipe or terminal is opened again, because other processes share the
 * flags of descriptor 2. If that is not possible (a socket, another user's pipe, no /proc), it is descriptor 2 itself: by
 * then Node has made a pipe or socket non-blocking. A regular file needs none of it.
 */
function openNonBlocking(): number {
  void process.stderr;
  try {
    if (fstatSync(stderr).isFile()) return stderr;
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (!('syscall' in (error as Error))) throw error;
    return stderr;
  }
}

/** Whether stderr is the journal: JOURNAL_STREAM holds the device and inode of its socket (systemd.exec(5)). */
function isJournal(env: Readonly<Record<string, string | undefined>>): boolean {
  const stream = env['JOURNAL_STREAM'] ?? '';
  if (stream === '') return false;
  try {
    const { dev, ino } = fstatSync(stderr, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch (error) {
    if (!('syscall' in (error as Error))) throw error;
    return false;
  }
}

/** Severities of RFC 5424 section 6.2.1 for the log levels, as the journal reads them at the start of a line (sd-daemon(3)). */
const priorities: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/** `<N>`: the priority of the line that follows, in the journal. */
export function journalPrefix(level: string): string {
  return `<${priorities[level] ?? 6}>`;
}
