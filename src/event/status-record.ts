/** What the forwarder reports about itself to a SIEM. */
export type StatusRecordEvent =
  | 'forwarder.started'
  | 'forwarder.configured'
  | 'forwarder.cursor_moved'
  | 'forwarder.set_aside'
  | 'forwarder.heartbeat'
  | 'forwarder.interrupted'
  | 'forwarder.resumed'
  | 'forwarder.sealed'
  | 'forwarder.stopped';

/** A record about the forwarder, sent beside the audit records and clearly distinct from them. */
export interface StatusRecord {
  readonly event: StatusRecordEvent;
  /** Milliseconds since the epoch, by the API server's clock if that is known. */
  readonly atMs: number;
  /** JSON values; text from outside is printable. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** `{ event, at, … }`, the value of `forwarder`. */
function statusRecordBody({ event, atMs, members }: StatusRecord): Record<string, unknown> {
  return { event, at: new Date(atMs).toISOString(), ...members };
}

/** One line of JSON: `{"forwarder":{…}}`. */
export function statusRecordText(record: StatusRecord): string {
  return JSON.stringify({ forwarder: statusRecordBody(record) });
}
