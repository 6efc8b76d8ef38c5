import { printable } from '../../lib/printable.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';

/** Version of the protocol, in `hello` and `ready`. */
export const contract = 1;
/** Longest line that a program may send, bytes. */
export const MAX_LINE_BYTES = 1024 ** 2;

const MAX_WINDOW = 1_000;
const MAX_EVENTS = 10_000;
const MAX_BYTES = 64 * 1024 ** 2;
const MAX_AFTER_MS = 24 * 86_400_000;

/** The program can take batches. */
export interface Ready {
  readonly type: 'ready';
  readonly window: number;
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** The verdict on one batch. */
export interface BatchVerdict {
  readonly type: 'verdict';
  readonly batch: number;
  readonly verdict: Verdict;
}

/** The program broke the protocol: one printable line says how. */
export interface Violation {
  readonly type: 'violation';
  readonly detail: string;
  /** It speaks another version: a person must act. */
  readonly isPermanent?: true;
}

/** Reads one line of a program. `sizeOf`: records of a batch that waits for its verdict. */
export function readLine(
  line: string,
  sizeOf: (batch: number) => number | undefined,
): Ready | BatchVerdict | Violation {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return violation('sent a line that is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return violation('sent a line that is not an object');
  const message = value as Readonly<Record<string, unknown>>;
  if (message.type === 'ready') return readReady(message);
  if (message.type === 'verdict') return readVerdict(message, sizeOf);
  return violation(`sent a message of an unknown type: ${printable(String(message.type), 40)}`);
}

function readReady({
  contract: own,
  window = 1,
  maxEvents = 1000,
  maxBytes = 1024 ** 2,
}: Readonly<Record<string, unknown>>) {
  if (own !== contract)
    return {
      ...violation(`speaks contract ${printable(String(own), 20)}, this forwarder contract ${contract}`),
      isPermanent: true,
    } as const;
  if (!isWithin(window, 1, MAX_WINDOW)) return violation(`asks for a window that is not from 1 to ${MAX_WINDOW}`);
  if (!isWithin(maxEvents, 1, MAX_EVENTS)) return violation(`asks for maxEvents that is not from 1 to ${MAX_EVENTS}`);
  if (!isWithin(maxBytes, 1024, MAX_BYTES)) return violation(`asks for maxBytes that is not from 1024 to ${MAX_BYTES}`);
  return { type: 'ready', window, maxEvents, maxBytes } as const;
}

function readVerdict(
  message: Readonly<Record<string, unknown>>,
  sizeOf: (batch: number) => number | undefined,
): BatchVerdict | Violation {
  const { batch, verdict: kind, afterMs, failedIndex, acceptedPrefix } = message;
  const size = typeof batch === 'number' ? sizeOf(batch) : undefined;
  if (typeof batch !== 'number' || size === undefined)
    return violation('sent a verdict on a batch that does not wait for one');
  const about = `sent a verdict on batch ${batch}`;
  if (afterMs !== undefined && !isWithin(afterMs, 0, MAX_AFTER_MS))
    return violation(`${about} whose afterMs is invalid`);
  if (failedIndex !== undefined && !isWithin(failedIndex, 0, size - 1))
    return violation(`${about} whose failedIndex is outside the batch`);
  if (acceptedPrefix !== undefined && !isWithin(acceptedPrefix, 0, size))
    return violation(`${about} whose acceptedPrefix is outside the batch`);
  const detail = printable(
    typeof message.detail === 'string' && message.detail !== '' ? message.detail : 'the program gives no reason',
    300,
  );
  const prefix = acceptedPrefix === undefined ? {} : { acceptedPrefix };
  const of = (verdict: Verdict): BatchVerdict => ({ type: 'verdict', batch, verdict });
  switch (kind) {
    case 'accepted':
      return of(accepted);
    case 'retry':
      return of({ kind, reason: 'server', detail, ...prefix, ...(afterMs !== undefined && { afterMs }) });
    case 'stop':
      return of({ kind, reason: 'address', detail, ...prefix });
    case 'reject':
      return of({ kind, reason: 'malformed', detail, ...prefix, ...(failedIndex !== undefined && { failedIndex }) });
    default:
      return violation(`${about} of an unknown kind: ${printable(String(kind), 40)}`);
  }
}

const violation = (detail: string): Violation => ({ type: 'violation', detail });

const isWithin = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
