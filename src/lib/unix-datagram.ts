import { getSystemErrorName } from 'node:util';

/** A socket for Unix datagrams, which Node's core has not. */
export interface UnixDatagramSocket extends Disposable {
  /**
   * Puts `bytes` into the queue of the socket at `path` (a leading NUL: abstract) without ever waiting. Gives '' when
   * it is there, else the system's error name: EAGAIN where the queue is full, EMSGSIZE, ENOENT, ECONNREFUSED, EPROTOTYPE
   * where it is a stream socket.
   */
  send(bytes: Buffer, path: string): string;
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
/** `sun_path` of unix(7), with its closing NUL. */
const pathBytes = 108;

/**
 * Undefined where it can't be had: `node:ffi` is experimental, in Node 26 and later, and wants --allow-ffi under
 * --permission; numbers and layout are those of Linux.
 */
export async function unixDatagramSocket(): Promise<UnixDatagramSocket | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    const { dlopen, getInt32 } = await import('node:ffi');
    const { functions: libc } = dlopen(null, {
      socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
      sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
      close: { arguments: ['int32'], return: 'int32' },
      __errno_location: { arguments: [], return: 'pointer' },
    });
    const errno = libc.__errno_location();
    const socket = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (socket < 0) return undefined;
    let open = true;
    return {
      send(bytes, path) {
        const address = sockaddr(path);
        if (!open) return 'EBADF';
        if (address === undefined) return 'ENAMETOOLONG';
        const sent = libc.sendto(socket, bytes, BigInt(bytes.length), MSG_DONTWAIT_NOSIGNAL, address, address.length);
        if (Number(sent) >= 0) return '';
        return getSystemErrorName(-getInt32(errno));
      },
      [Symbol.dispose]() {
        if (open) libc.close(socket);
        open = false;
      },
    };
  } catch {
    return undefined;
  }
}

function sockaddr(path: string): Buffer | undefined {
  const name = Buffer.from(path, 'utf8');
  const abstract = name[0] === 0;
  if (name.length + (abstract ? 0 : 1) > pathBytes) return undefined;
  const address = Buffer.alloc(2 + name.length + (abstract ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  return address;
}
