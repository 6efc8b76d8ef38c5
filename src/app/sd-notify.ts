import { printable } from '../lib/printable.ts';
import { type UnixDatagramSocket, unixDatagramSocket } from '../lib/unix-datagram.ts';
import type { Health } from '../telemetry/health.ts';
import { isAlive } from '../telemetry/readiness.ts';
import { type Status, status } from '../telemetry/status.ts';
import type { TelemetryEvent } from '../telemetry/telemetry-event.ts';

/** What systemd learns about the daemon. */
export interface WatchdogStatus {
  /** Whether the loops make progress; waiting, backing off and being parked count as progress. */
  isAlive(): boolean;
  /** The state of source and sinks in one line. */
  status(): string;
}

export interface SdNotifyOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Fires when the program stops. */
  readonly stop: AbortSignal;
  readonly watchdog: WatchdogStatus;
}

/** How often the status is compared, and messages that did not fit into the socket's queue are sent again, milliseconds. */
const lookMs = 5_000;
const maxStatusLength = 500;

/**
 * Reports to systemd (sd_notify(3)): READY=1 with the first page that was read, STATUS= when it changes, WATCHDOG=1 at
 * half of WATCHDOG_USEC while the loops make progress, RELOADING=1, STOPPING=1. Does nothing without NOTIFY_SOCKET. Never
 * throws, waits or delays the exit.
 */
export class SdNotify implements Disposable {
  /** Why systemd can't be notified although it asks for it. */
  readonly problem: string | undefined;
  readonly #options: SdNotifyOptions;
  readonly #socket: UnixDatagramSocket | undefined;
  readonly #path: string;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Messages that the socket's queue had no room for; order matters to systemd. */
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
      if (path !== '')
        this.problem = 'systemd waits for a notification that this Node cannot send (no node:ffi): set Type=exec';
      return;
    }
    const watchdogMs = watchdogOf(options);
    this.#every(lookMs, () => this.#look());
    if (watchdogMs !== undefined) this.#every(watchdogMs / 2, () => this.#feed());
    options.stop.addEventListener('abort', this.#stopping);
  }

  handle(event: TelemetryEvent): void {
    if (this.#socket === undefined) return;
    switch (event.event) {
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

  /** Reports a reload while `read` reads the configuration; undefined: the old one stays. */
  async reload<C>(read: () => Promise<C | undefined>): Promise<C | undefined> {
    if (this.#state === 'ready') {
      this.#state = 'reloading';
      this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    }
    const next = await read();
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
    const status = printable(this.#options.watchdog.status(), maxStatusLength);
    if (status === this.#status || status === '') return;
    this.#status = status;
    this.#send(`STATUS=${status}`);
  }

  #feed(): void {
    // A message that did not get through is not repeated: the next one follows soon.
    if (this.#options.watchdog.isAlive()) this.#socket?.send(Buffer.from('WATCHDOG=1'), this.#path);
  }

  #send(message: string): void {
    this.#backlog.push(message);
    this.#flush();
  }

  #flush(): void {
    for (let [next] = this.#backlog; next !== undefined; [next] = this.#backlog) {
      const fault = this.#socket?.send(Buffer.from(next), this.#path) ?? '';
      if (fault === 'EAGAIN' || fault === 'ENOBUFS') return;
      // Any other error (no listener, message too long) would come again at the next attempt.
      this.#backlog.shift();
    }
  }
}

/** The watchdog's timeout, milliseconds, if systemd expects this very process to notify it (sd_watchdog_enabled(3)). */
function watchdogOf({ env, pid }: SdNotifyOptions): number | undefined {
  const usec = Number(env['WATCHDOG_USEC']);
  const watchdogPid = env['WATCHDOG_PID'] ?? '';
  if (!Number.isSafeInteger(usec) || usec <= 0 || (watchdogPid !== '' && watchdogPid !== String(pid))) return undefined;
  return usec / 1000;
}

/** The watchdog status that the telemetry events add up to. */
export function watchdogStatusOf(health: Health): WatchdogStatus {
  return { isAlive: () => isAlive(health), status: () => statusLine(status(health)) };
}

/** For example `splunk at 4711, lag 0 s; siem at 4700, lag 75 s: connection refused`. */
function statusLine({ source, sinks, reasons }: Status): string {
  const parts = sinks.map(({ name, cursor, lagSeconds, lastError }) => {
    const place = cursor === undefined ? 'not started' : `at ${cursor}, lag ${Math.round(lagSeconds)} s`;
    return `${name} ${place}${lastError === undefined ? '' : `: ${lastError.detail}`}`;
  });
  // A source that fails explains everything else, so it comes first.
  const sourceError = source.lastError?.detail ?? (source.lastPoll === undefined ? reasons[0]?.detail : undefined);
  return (sourceError === undefined ? parts : [sourceError, ...parts]).join('; ');
}
