import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { errorCode, errorText } from './network-error.ts';
import { untilAborted } from './shutdown.ts';

/** A step towards another host that failed, in one printable line. */
export interface Unreached {
  readonly kind: 'unreached';
  /** The system's code, for example ENOTFOUND. */
  readonly code: string;
  readonly detail: string;
}

/**
 * Milliseconds that one address of a name gets before the next is tried (`autoSelectFamilyAttemptTimeout` of `node:net`): a
 * quarter of the time for the whole, so that four addresses have their turn. Node's default of 500 ms never connects over
 * a longer round trip. The last address has all the time that is left.
 */
export const attemptTimeoutMs = (timeoutMs: number): number => Math.max(250, Math.floor(timeoutMs / 4));

/** The addresses of a name, in the order in which connections try them. Never rejects. */
export async function addressesOf(host: string, signal: AbortSignal): Promise<readonly string[] | Unreached> {
  const found = lookup(host, { all: true }).then((addresses) => addresses.map(({ address }) => address), unreached);
  return (await untilAborted(signal, found)) ?? interrupted;
}

/** Connects to host and port, and closes the connection at once. Undefined if that worked. Never rejects. */
export async function reachTcp(
  to: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Unreached | undefined> {
  if (signal.aborted) return interrupted;
  const { host, port, timeoutMs } = to;
  const { promise, resolve } = Promise.withResolvers<Unreached | undefined>();
  const autoSelectFamilyAttemptTimeout = attemptTimeoutMs(timeoutMs);
  const socket = connect({ host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout })
    .on('error', (error) => resolve(unreached(error)))
    .once('connect', () => resolve(undefined));
  const onTimeout = () =>
    resolve({ kind: 'unreached', code: 'ETIMEDOUT', detail: `no connection within ${timeoutMs} ms` });
  const timer = setTimeout(onTimeout, timeoutMs);
  const onAbort = () => resolve(interrupted);
  signal.addEventListener('abort', onAbort);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

const interrupted: Unreached = { kind: 'unreached', code: 'ABORT', detail: 'interrupted' };

const unreached = (error: unknown): Unreached => ({
  kind: 'unreached',
  code: errorCode(error),
  detail: errorText(error),
});
