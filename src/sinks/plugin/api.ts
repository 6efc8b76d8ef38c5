// The interface of plug-ins, published as `qasphere-siem-forwarder/sink`. It imports nothing, so that its types stand alone.

/** Why a delivery did not succeed; a metric label. */
export type Reason = 'network' | 'timeout' | 'throttled' | 'server' | 'auth' | 'address' | 'malformed' | 'too_large';

/** What the destination answers to a batch. `detail` is one line without secrets. */
export type Verdict =
  | { kind: 'accepted' }
  | { kind: 'retry'; reason: Reason; detail: string; afterMs?: number; acceptedPrefix?: number }
  | { kind: 'stop'; reason: Reason; detail: string }
  | { kind: 'reject'; reason: Reason; detail: string; failedIndex?: number; acceptedPrefix?: number };

/** On the wire, confirmed later. */
export interface Sent {
  kind: 'sent';
  confirmed: Promise<Verdict>;
}

/** Records in order of id; never empty. `record` is UTF-8 in the configured format, `event` the parsed event after redaction. */
export interface Batch {
  records: readonly { id: string; record: Uint8Array; event: unknown }[];
}

/** A record about the forwarder itself (a heartbeat); `record` is one line of JSON. */
export interface StatusRecord {
  event: string;
  record: Uint8Array;
}

export interface Sink extends AsyncDisposable {
  /** Batches that may wait for confirmation: 1 to 1000. */
  readonly window: number;
  /** Most events (1 to 10000) and bytes (1 KiB to 64 MiB) of a batch. */
  readonly limits: { maxEvents: number; maxBytes: number };
  /** Sends one batch; called again only when the last call has settled. `signal`: no time is left. */
  send(batch: Batch, signal: AbortSignal): Promise<Verdict | Sent>;
  /** Sends a record about the forwarder, apart from audit records. Without it they are not sent. */
  sendStatus?(record: StatusRecord, signal: AbortSignal): Promise<Verdict | Sent>;
  /** Serves `check`: tries the way to the destination and delivers nothing. */
  probe?(signal: AbortSignal): Promise<Verdict>;
}

export interface SinkDeps {
  name: string;
  /** Host name of the tenant. */
  tenant: string;
  version: string;
  log(level: 'info' | 'warn', message: string): void;
}

/** Standard Schema, version 1: what zod, valibot, arktype and others implement (standardschema.dev). */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

export interface SinkDefinition<O> {
  meta: { name: string; version: string };
  options: StandardSchemaV1<unknown, O>;
  /** Names of options that are secrets; `NAMEFile` is then an option too. */
  secrets?: readonly string[];
  /** Longest wait for an answer or a confirmation, milliseconds; default 60 s. */
  confirmWithin?: number;
  open(options: O, deps: SinkDeps): Sink | Promise<Sink>;
}

export interface SinkPlugin {
  readonly contract: 1;
  readonly meta: { name: string; version: string };
  readonly options: StandardSchemaV1;
  readonly secrets: readonly string[];
  readonly confirmWithin: number;
  open(options: unknown, deps: SinkDeps): Sink | Promise<Sink>;
}

/** Makes a definition into what a plug-in module exports by default. */
export function defineSink<O>(definition: SinkDefinition<O>): SinkPlugin {
  const { meta, options, secrets = [], confirmWithin = 60_000, open } = definition;
  return { contract: 1, meta, options, secrets, confirmWithin, open: (value, deps) => open(value as O, deps) };
}
