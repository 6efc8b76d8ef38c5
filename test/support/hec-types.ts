import type { IncomingMessage } from 'node:http';
import type { Received, Rules } from './hec-parse.ts';

/** What the collector does with one request besides, or instead of, answering it. */
export type Fault =
  | 'busy' // 503 code 9
  | 'error' // 500 code 8
  | 'throttle' // 429 code 26
  | 'not-found' // 404, as in maintenance
  | 'reset-before' // connection closed, nothing kept
  | 'reset-after' // kept, connection closed without an answer
  | 'hang-before' // never answered, nothing kept
  | 'hang-after' // kept, never answered
  | 'queue-warning' // kept, 200 code 24
  | 'ack-warning' // kept, 200 code 25
  | 'slow-answer' // kept, answered after 300 ms
  | 'no-ack-id' // kept, 200 without ackId
  | 'swallow-ack' // kept, its acknowledgement never comes
  | 'late-ack' // kept, acknowledged at the fourth poll
  | 'lose-ack' // a poll is closed without an answer after the ids were taken from memory
  | { wait: Promise<unknown> } // answered as usual after that
  | { status: number; body?: string | object; headers?: Record<string, string | string[]> };

export interface Asked {
  /** Counts data requests, or ack requests, from 0. */
  readonly n: number;
  readonly kind: 'data' | 'ack';
  readonly channel: string | undefined;
  readonly headers: IncomingMessage['headers'];
  /** The body, decompressed. */
  readonly body: () => Buffer;
}

export interface HecServerOptions extends Rules {
  readonly token?: string;
  readonly tokenState?: 'good' | 'disabled' | 'ack';
  /** Which events of a refused request are kept: those before the refused one, or none. */
  readonly keeps?: 'prefix' | 'none';
  readonly maxContentBytes?: number;
  readonly fault?: (asked: Asked) => Fault | undefined;
  /** Polls that are answered with false before an id turns true. Default 0. */
  readonly ackAfter?: number;
  /** Several indexers behind one address: by cookie, or in turns. */
  readonly backends?: { count: number; balance: 'sticky' | 'in-turns'; cookie?: string };
  /** Keep no events, only count lines. */
  readonly countOnly?: boolean;
  /** How long each answer waits, milliseconds. Default 0. */
  readonly latencyMs?: number;
  readonly tls?: {
    key: string | Buffer;
    cert: string | Buffer;
    ca?: string | Buffer;
    requestCert?: boolean;
    rejectUnauthorized?: boolean;
  };
  readonly port?: number;
  /** Path before `/services/collector`, without a slash at the end. */
  readonly pathPrefix?: string;
}

export interface LoggedRequest {
  readonly kind: 'data' | 'ack' | 'health' | 'other';
  readonly channel: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: number;
  /** Events in the body, or ids that were asked about. */
  readonly events: number;
  readonly acks: readonly number[];
  readonly backend: number;
  /** Common name of the client's certificate, if it showed one. */
  readonly client?: string;
  /** HTTP status, or undefined if there was no answer. */
  status?: number;
  ackId?: number;
  /** Kept at least in part. */
  kept?: number;
  /** Its acknowledgement was reported. */
  confirmed?: boolean;
}

export interface HecServer extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** All events kept, in order of arrival. */
  readonly events: readonly Received[];
  readonly requests: readonly LoggedRequest[];
  /** Number of events kept, also with `countOnly`. */
  readonly count: number;
  tokenState: 'good' | 'disabled' | 'ack' | 'unknown';
  /** Changes the token that is accepted. */
  renew(token: string): void;
  /** An indexer restarts: counts at 0, memory lost. All of them without a number. */
  restart(backend?: number): void;
  /** Closes every connection. */
  disconnect(): void;
  /** Resolves as soon as `condition` holds; it is evaluated after each request. */
  until(condition: () => boolean): Promise<void>;
}
