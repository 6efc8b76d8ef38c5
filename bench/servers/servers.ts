/** A server as its own process serves it. */
export interface BenchServer {
  readonly url: string;
  /** Key or token it accepts; '' if it needs none. */
  readonly token: string;
  /** Authority of its certificate, a file; '' without TLS. */
  readonly caFile: string;
  /** Events a collector has taken, or requests a source has had. */
  count(): number;
  /** Bytes of all requests' bodies, as they came. */
  bytes?(): number;
  /** For each event: when it was created, and how much later it was here, milliseconds. */
  delays?(): readonly Delay[];
}

export type Delay = readonly [createdAtMs: number, delayMs: number];

/** What may be asked for; each kind reads what concerns it. */
export interface ServerOptions {
  readonly kind: 'source' | 'hec' | 'hec-clock' | 'tcp' | 'tls' | 'relp';
  /** How long each answer waits. */
  readonly latencyMs?: number;
  /** source: events that exist at the start. */
  readonly events?: number;
  /** source: new events a second. */
  readonly rate?: number;
  /** source: events a page that it knows beforehand; default 1000. */
  readonly pageSize?: number;
  /** source: requests a second; without it no limit, and pages once sent are remembered. */
  readonly perSecond?: number;
  /** hec: wants to be asked for acknowledgements. */
  readonly acknowledges?: boolean;
  /** hec: takes nothing. */
  readonly fault?: 'busy' | 'hang-before';
}
