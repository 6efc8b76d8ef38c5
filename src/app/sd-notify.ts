import { printable } from '../lib/printable.ts';
import { type UnixDatagramSocket, unixDatagramSocket } from '../lib/unix-datagram.ts';
import type { TelemetryEvent } from '../telemetry/telemetry-event.ts';

/** What a supervisor wants to know of the daemon. */
export interface WatchdogStatus {
  /** Whether the loops move: waiting, backing off and being parked is moving. */
  isAlive(): boolean;
  /** How things stand, one line. */
  status(): string;
}

export interface SdNotifyOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** The stop that a signal asks for. */
  readonly stop: AbortSignal;
  readonly vitals: WatchdogStatus;
}

/** How often the status is looked at, and what a full queue kept back is tried again, milliseconds. */
const lookMs = 5_000;
const longestStatus = 500;

/**
 * Tells systemd how the daemon fares (sd_notify(3)): READY=1 with the first page that was read, STATUS= where it changes,
 * WATCHDOG=1 at half of WATCHDOG_USEC while the loops move, RELOADING=1, STOPPING=1. Does nothing at all without
 * NOTIFY_SOCKET. Never throws, waits or holds up the exit.
 */
export class SdNotify implements Disposable {
  /** Why systemd can't be told although it asks for it. */
  readonly problem: string | undefined;
  readonly #options: SdNotifyOptions;
  readonly #socket: UnixDatagramSocket | undefined;
  readonly #path: string;
  readonly #timers: NodeJS.Timeout[] = [];
  /** What a full queue did not take; order matters to systemd. */
  readonly #backlog: string[] = [];
  #state: 'starting' | 'ready' | 'reloading' | 'stopping' = 'starting';
  #status = '';

  static async open(options: SdNotifyOptions): Promise<SdNotify> {
    const path = options.env['NOTIFY_SOCKET'] ?? '';
    return new SdNotify(options, path, path === '' ? undefined : await unixDatagramSocket());
  }

  private constructor(options: SdNotifyOptions, path: string, socket: UnixDatagramSocket | undefined) {
    this.#options = options;
    this.#path = path.replace(/^@/, '\0');
    this.#socket = socket;
    if (socket === undefined) {
      if (path !== '') this.problem = 'systemd waits for word that this Node cannot send (no node:ffi): set Type=exec';
      return;
    }
    const watchdogMs = watchdogOf(options);
    this.#every(lookMs, () => this.#look());
    if (watchdogMs !== undefined) this.#every(watchdogMs / 2, () => this.#feed());
    options.stop.addEventListener('abort', this.#stopping);
  }

  /** Takes what happens in the daemon. */
  emit(happening: TelemetryEvent): void {
    if (this.#socket === undefined) return;
    switch (happening.event) {
      case 'source.page':
        if (this.#state === 'starting') this.#ready();
        break;
      case 'daemon.start':
        if (this.#state === 'reloading') this.#ready();
        break;
      case 'source.refused':
      case 'source.stopped':
        this.#look();
        break;
    }
  }

  /** Around what reads the configuration again: `read` gives undefined where the old one stays. */
  reload<C>(read: () => C | undefined): C | undefined {
    if (this.#state === 'ready') {
      this.#state = 'reloading';
      this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    }
    const next = read();
    if (next === undefined && this.#state === 'reloading') this.#ready();
    return next;
  }

  [Symbol.dispose](): void {
    this.#stopping();
    this.#options.stop.removeEventListener('abort', this.#stopping);
    for (const timer of this.#timers) clearInterval(timer);
    this.#socket?.[Symbol.dispose]();
  }

  #every(ms: number, work: () => void): void {
    this.#timers.push(setInterval(work, ms).unref());
  }

  readonly #stopping = () => {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    this.#send('STOPPING=1');
  };

  #ready(): void {
    this.#state = 'ready';
    this.#send('READY=1');
    this.#look();
  }

  #look(): void {
    this.#flush();
    const status = printable(this.#options.vitals.status(), longestStatus);
    if (status === this.#status || status === '') return;
    this.#status = status;
    this.#send(`STATUS=${status}`);
  }

  #feed(): void {
    // A beat that did not get through is not made up for: the next one comes soon.
    if (this.#options.vitals.isAlive()) this.#socket?.send(Buffer.from('WATCHDOG=1'), this.#path);
  }

  #send(message: string): void {
    this.#backlog.push(message);
    this.#flush();
  }

  #flush(): void {
    for (let [next] = this.#backlog; next !== undefined; [next] = this.#backlog) {
      const fault = this.#socket?.send(Buffer.from(next), this.#path) ?? '';
      // Nobody listens, or what is said is too long: it would be so the next time.
      if (fault === 'EAGAIN' || fault === 'ENOBUFS') return;
      this.#backlog.shift();
    }
  }
}

/** The watchdog's time, milliseconds, where systemd wants to hear from this very process (sd_watchdog_enabled(3)). */
function watchdogOf({ env, pid }: SdNotifyOptions): number | undefined {
  const usec = Number(env['WATCHDOG_USEC']);
  const addressee = env['WATCHDOG_PID'] ?? '';
  if (!Number.isSafeInteger(usec) || usec <= 0 || (addressee !== '' && addressee !== String(pid))) return undefined;
  return usec / 1000;
}
