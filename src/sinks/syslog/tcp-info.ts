import type { Socket } from 'node:net';
import { loadLibc } from '../../lib/libc.ts';

/** What the kernel reports about a TCP connection. */
export interface TcpState {
  /** `established`: neither side has closed. `gone`: it is over, for example after a reset that Node has not seen yet. */
  readonly state: 'established' | 'closing' | 'gone';
  /** Bytes that the peer's TCP has not acknowledged, unsent ones included; our FIN counts as one. */
  readonly unacknowledgedBytes: number;
}

/** Asks the kernel about sockets, which takes microseconds. */
export interface TcpInfo {
  /** Undefined if it is not a TCP socket. */
  look(socket: Socket): TcpState | undefined;
  /** Keeps a connection so that its end can be seen after the socket is closed; undefined if the socket has no descriptor. */
  keep(socket: Socket): KeptConnection | undefined;
}

/** A connection whose sending side we have closed. */
export interface KeptConnection extends Disposable {
  /** How the peer ended it: not yet, with a FIN, or with a reset, as one does that closes without having read everything. */
  end(): 'open' | 'closed' | 'reset';
}

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** States of include/net/tcp_states.h, `tcpi_state` of tcp(7). */
const ESTABLISHED = 1;
const CLOSE = 7;
/** TCP_ESTABLISHED, TCP_FIN_WAIT1 and 2: no FIN has arrived. */
const withoutFin = new Set([1, 4, 5]);
/** tcp(7), ioctls; the same number as TIOCOUTQ. */
const SIOCOUTQ = 0x5411n;

/** Architectures where ioctl's `unsigned long` has 64 bits and the number above holds. */
const supported = new Set<string>(['x64', 'arm64', 'riscv64', 'loong64', 's390x']);

const gone: TcpState = { state: 'gone', unacknowledgedBytes: 0 };

/**
 * Node does not report what the peer's TCP acknowledged; Linux does (tcp(7)). Undefined without `loadLibc`, and on
 * architectures with other numbers. Above 50 lines: two methods over the same buffers.
 */
export async function loadTcpInfo(): Promise<TcpInfo | undefined> {
  if (!supported.has(process.arch)) return undefined;
  const loaded = await loadLibc({
    getsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'], return: 'int32' },
    ioctl: { arguments: ['int32', 'uint64', 'buffer'], return: 'int32' },
    dup: { arguments: ['int32'], return: 'int32' },
    close: { arguments: ['int32'], return: 'int32' },
  });
  if (loaded === undefined) return undefined;
  const { libc } = loaded;
  // The kernel fills only as much of them as their size allows.
  const info = Buffer.alloc(8);
  const size = new Uint32Array(1);
  const number = new Int32Array(1);
  const stateOf = (fd: number): number | undefined => {
    size[0] = info.length;
    return libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, size) === 0 ? info[0] : undefined;
  };
  return {
    look(socket) {
      const fd = descriptorOf(socket);
      if (fd === undefined) return socket.destroyed ? gone : undefined;
      // In this order: what is acknowledged and closed in between must not look acknowledged and open.
      if (libc.ioctl(fd, SIOCOUTQ, number) !== 0) return undefined;
      const [unacknowledgedBytes = 0] = number;
      const state = stateOf(fd);
      if (state === undefined) return undefined;
      return state === CLOSE ? gone : { state: state === ESTABLISHED ? 'established' : 'closing', unacknowledgedBytes };
    },
    keep(socket) {
      const own = descriptorOf(socket);
      const fd = own === undefined ? -1 : libc.dup(own);
      if (fd < 0) return undefined;
      let isReset = false;
      return {
        end() {
          const state = stateOf(fd);
          if (state === undefined || withoutFin.has(state)) return 'open';
          size[0] = number.byteLength;
          // The kernel reports it once.
          if (libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, number, size) === 0 && number[0] !== 0) isReset = true;
          return isReset && state === CLOSE ? 'reset' : 'closed';
        },
        [Symbol.dispose]() {
          libc.close(fd);
        },
      };
    },
  };
}

/**
 * Bytes that the kernel has taken so far (under TLS: encrypted), without those that wait in Node or libuv, which
 * `bytesWritten` counts too. 0 once the socket is closed; undefined if Node does not report it.
 */
export function bytesTaken(socket: Socket): number | undefined {
  const handle = handleOf(socket);
  if (handle === null) return 0;
  const { bytesWritten, writeQueueSize } = handle;
  if (typeof bytesWritten !== 'number' || typeof writeQueueSize !== 'number') return undefined;
  return bytesWritten - writeQueueSize;
}

/** Undefined once the socket is closed: the number may then belong to another file. */
function descriptorOf(socket: Socket): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** Not documented, so each part is used only if it is a number. */
function handleOf(socket: Socket): { fd?: unknown; bytesWritten?: unknown; writeQueueSize?: unknown } | null {
  return (socket as { _handle?: object | null })._handle ?? null;
}
