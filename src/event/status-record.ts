/** What the forwarder tells a SIEM of itself. */
export type StatusRecordEvent =
  | 'forwarder.started'
  | 'forwarder.configured'
  | 'forwarder.cursor_moved'
  | 'forwarder.set_aside'
  | 'forwarder.heartbeat'
  | 'forwarder.interrupted'
  | 'forwarder.resumed'
  | 'forwarder.stopped';

/** A record of the forwarder's own, sent beside the audit records and clearly apart from them. */
export interface StatusRecord {
  readonly event: StatusRecordEvent;
  /** Milliseconds since the epoch, by the API server's clock where that is known. */
  readonly atMs: number;
  /** Fit for JSON; text from outside is printable. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** `{ event, at, … }`, what stands under `forwarder`. */
export function statusRecordBody({ event, atMs, members }: StatusRecord): Record<string, unknown> {
  return { event, at: new Date(atMs).toISOString(), ...members };
}

/** One line of JSON: `{"forwarder":{…}}`. */
export function statusRecordText(note: StatusRecord): string {
  return JSON.stringify({ forwarder: statusRecordBody(note) });
}
