import type { Socket } from 'node:net';

/** What the kernel knows of a connected TCP socket. */
export interface TcpQueue {
  /** `tcpi_state` of tcp(7): 1 is established, 7 closed. */
  readonly state: number;
  /** Bytes that the other side's TCP has not acknowledged, those not yet sent among them; our FIN counts as one. */
  readonly unacknowledgedBytes: number;
}

/** Asks the kernel, which takes microseconds. */
export interface TcpKernel {
  /** Undefined where the socket has no descriptor (any more). */
  queue(socket: Socket): TcpQueue | undefined;
  /** Keeps a connection for questions beyond the end of its socket; undefined where it has no descriptor. */
  keep(socket: Socket): KeptConnection | undefined;
}

/** A connection of which we have closed our half. */
export interface KeptConnection extends Disposable {
  /** How the other side ended it: not yet, in good order, or by a reset, as one does that closes without having read all. */
  end(): 'open' | 'closed' | 'reset';
}

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** TCP_ESTABLISHED, TCP_FIN_WAIT1 and 2: no FIN has come; TCP_CLOSE (include/net/tcp_states.h). */
const unended = new Set([1, 4, 5]);
const closed = 7;
/** tcp(7), ioctls; the same number as TIOCOUTQ. */
const SIOCOUTQ = 0x5411n;

/** Where `unsigned long`, of ioctl, has 64 bits and the number above holds. */
const wide = new Set<string>(['x64', 'arm64', 'riscv64', 'loong64', 's390x']);

/**
 * Node tells nothing of what the other side's TCP acknowledged; Linux does (tcp(7)). Undefined where it can't be asked:
 * as with Unix datagrams it takes `node:ffi`, and numbers are those of Linux. Never rejects.
 */
export async function tcpKernel(): Promise<TcpKernel | undefined> {
  if (process.platform !== 'linux' || !wide.has(process.arch)) return undefined;
  try {
    const { dlopen } = await import('node:ffi');
    const { functions: libc } = dlopen(null, {
      getsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'], return: 'int32' },
      ioctl: { arguments: ['int32', 'uint64', 'buffer'], return: 'int32' },
      dup: { arguments: ['int32'], return: 'int32' },
      close: { arguments: ['int32'], return: 'int32' },
    });
    // The kernel fills no more of them than their size says.
    const info = Buffer.alloc(8);
    const size = new Uint32Array(1);
    const number = new Int32Array(1);
    const stateOf = (fd: number): number | undefined => {
      size[0] = info.length;
      return libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, size) === 0 ? info[0] : undefined;
    };
    return {
      queue(socket) {
        const fd = descriptorOf(socket);
        // In this order: what is acknowledged and closed in between must not look acknowledged and open.
        if (fd === undefined || libc.ioctl(fd, SIOCOUTQ, number) !== 0) return undefined;
        const [unacknowledgedBytes = 0] = number;
        const state = stateOf(fd);
        return state === undefined ? undefined : { state, unacknowledgedBytes };
      },
      keep(socket) {
        const own = descriptorOf(socket);
        const fd = own === undefined ? -1 : libc.dup(own);
        if (fd < 0) return undefined;
        let isReset = false;
        return {
          end() {
            const state = stateOf(fd);
            if (state === undefined || unended.has(state)) return 'open';
            size[0] = number.byteLength;
            // Told once.
            if (libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, number, size) === 0 && number[0] !== 0) isReset = true;
            return isReset && state === closed ? 'reset' : 'closed';
          },
          [Symbol.dispose]() {
            libc.close(fd);
          },
        };
      },
    };
  } catch {
    return undefined;
  }
}

/**
 * Bytes that the kernel has taken so far (under TLS: encrypted); what still waits in Node or libuv, which `bytesWritten`
 * counts too, is not among them. 0 once it is closed; undefined where Node does not tell.
 */
export function bytesTaken(socket: Socket): number | undefined {
  const handle = handleOf(socket);
  if (handle === null) return 0;
  const { bytesWritten, writeQueueSize } = handle;
  if (typeof bytesWritten !== 'number' || typeof writeQueueSize !== 'number') return undefined;
  return bytesWritten - writeQueueSize;
}

/** Once closed there is none, and no other socket's. */
function descriptorOf(socket: Socket): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** Not documented: each part is only taken where it is a number. */
function handleOf(socket: Socket): { fd?: unknown; bytesWritten?: unknown; writeQueueSize?: unknown } | null {
  return (socket as { _handle?: object | null })._handle ?? null;
}
