import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { printable } from './printable.ts';
import { untilAborted } from './shutdown.ts';

/** A step towards another host that failed, in one printable line. */
export interface Unreached {
  readonly kind: 'unreached';
  /** The system's code, for example ENOTFOUND. */
  readonly code: string;
  readonly detail: string;
}

/** The addresses of a name, as connections would try them. Never rejects. */
export async function addressesOf(host: string, signal: AbortSignal): Promise<readonly string[] | Unreached> {
  const found = lookup(host, { all: true }).then(
    (addresses) => addresses.map(({ address }) => address),
    (error: NodeJS.ErrnoException) => unreached(error),
  );
  return (await untilAborted(signal, found)) ?? interrupted;
}

/** Whether a TCP connection to host and port can be made; it is closed at once. Never rejects. */
export async function reachTcp(
  to: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Unreached | undefined> {
  const { host, port, timeoutMs } = to;
  const { promise, resolve } = Promise.withResolvers<Unreached | undefined>();
  const socket = connect({ host, port, autoSelectFamily: true })
    .on('error', (error: NodeJS.ErrnoException) => resolve(unreached(error)))
    .once('connect', () => resolve(undefined));
  const late = () => resolve({ kind: 'unreached', code: 'ETIMEDOUT', detail: `no connection within ${timeoutMs} ms` });
  const timer = setTimeout(late, timeoutMs);
  const stopped = () => resolve(interrupted);
  signal.addEventListener('abort', stopped);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stopped);
    socket.destroy();
  }
}

const interrupted: Unreached = { kind: 'unreached', code: 'ABORT', detail: 'interrupted' };

function unreached(error: NodeJS.ErrnoException): Unreached {
  const each = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
  const code = String(error.code ?? each[0]?.code ?? 'ERR_UNKNOWN');
  const said = each.length > 0 ? each.map(({ message }) => message).join('; ') : error.message;
  return { kind: 'unreached', code, detail: printable(said) };
}
