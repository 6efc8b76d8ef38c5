import type { EventLog, GivenEvent } from './event-log.ts';
import type { GeneratedLog } from './events.ts';
import type { Fault, FaultKind } from './faults.ts';

export interface SimulatorOptions {
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** Loopback only, as the key is no secret. Default 127.0.0.1. */
  readonly host?: '127.0.0.1' | '::1' | undefined;
  /** How many events exist at the start. Default 1000. */
  readonly events?: number | undefined;
  /** New events a second, for ever. Default 0. */
  readonly rate?: number | undefined;
  /** Default 1. The same seed, events, rate and epochMs make the same log. */
  readonly seed?: number | undefined;
  /** When `events` existed, milliseconds since the epoch of 1970. Default: the start, by the server's clock. */
  readonly epochMs?: number | undefined;
  /** Events of `rate` that become visible behind newer ones: their share, 0 to 1, and how long after createdAt. */
  readonly late?: { readonly share: number; readonly delayMs: number } | undefined;
  /** Default SIEM-LOG-ONLY-demo. */
  readonly key?: string | undefined;
  /** Whether the key may read the audit log alone. Default: whether it begins with SIEM-LOG-ONLY. */
  readonly restricted?: boolean | undefined;
  readonly faults?: readonly Fault[] | undefined;
  /** Milliseconds since the epoch. Default Date.now. */
  readonly now?: (() => number) | undefined;
  /** Milliseconds from any start, never going back; measures the pace. Default performance.now. */
  readonly monotonic?: (() => number) | undefined;
  /** Chance of faults, at least 0 and below 1. Default: from the seed. */
  readonly random?: (() => number) | undefined;
  /** How far the server's clock (Date, createdAt) is ahead of `now`, milliseconds. Default 0. */
  readonly clockOffsetMs?: number | undefined;
  /** Default true. */
  readonly dateHeader?: boolean | undefined;
  /** More events than this never come in a page, whatever was asked for. Default: no cap. */
  readonly countCap?: number | undefined;
  /** How long an answer waits, milliseconds. Default 0. */
  readonly latencyMs?: number | undefined;
  /** Events given by hand instead of generated ones. Texts are put in order of id; a log of your own is not. */
  readonly log?: readonly (string | GivenEvent)[] | EventLog | undefined;
  /** Compress where the client takes it. Default true. */
  readonly gzip?: boolean | undefined;
  /** Requests in any one second with the key, before 429. Default 20; Infinity: no limit. */
  readonly requestsPerSecond?: number | undefined;
  /** What a 429 for the pace carries. Default `alternating`: seconds, nothing, seconds, … */
  readonly retryAfter?: 'alternating' | 'seconds' | 'date' | 'none' | undefined;
}

export interface SimulatedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As asked, where this was a good request for a page. */
  readonly after?: bigint;
  readonly count?: number;
  /** By `monotonic`, when it came in. */
  readonly atMs: number;
  /** The fault it met. */
  readonly fault?: FaultKind;
  /** What was answered; 0: nothing, or not yet. */
  readonly status: number;
}

/** A QA Sphere audit-log API (public API v0) on loopback. */
export interface Simulator extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** The newest requests, at most 10,000 to 20,000, in the order in which they came. */
  readonly requests: readonly SimulatedRequest[];
  /** How many came in all. */
  readonly requestCount: number;
  /** What the API reads from when nothing was given by hand: an oracle of ids and texts. */
  readonly generated: GeneratedLog | undefined;
  /** The greatest id that is visible now, 0n if there is none. */
  lastId(): bigint;
  /**
   * Adds events: given ones wherever their ids belong, or a number of generated ones, created now.
   * @throws {TypeError} for a text without an integer id
   * @throws {RangeError} for a number where the log is not a generated one, or has a rate
   */
  append(events: number | string | readonly (string | GivenEvent)[]): void;
  /** From the next request on. */
  setFaults(faults: readonly Fault[]): void;
  /** Replaces the key; the old one is refused from the next request on. */
  setKey(key: string): void;
  /** Ends every connection at once. Closing twice is harmless. */
  close(): Promise<void>;
}
