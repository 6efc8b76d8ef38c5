import { getSystemErrorName } from 'node:util';
import { loadLibc } from './libc.ts';

/** A socket for Unix datagrams, which Node's core lacks. */
export interface UnixDatagramSocket extends Disposable {
  /**
   * Puts `bytes` into the queue of the socket at `path` (a leading NUL: abstract); never waits. Returns '' on success, else
   * the system's error name: EAGAIN if the queue is full, EMSGSIZE, ENOENT, ECONNREFUSED, EPROTOTYPE for a stream socket.
   */
  send(bytes: Buffer, path: string): string;
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
/** `sun_path` of unix(7), with the closing NUL. */
const pathBytes = 108;

/** Undefined without `loadLibc`, or if the system creates no socket. Numbers and layout are those of Linux. */
export async function unixDatagramSocket(): Promise<UnixDatagramSocket | undefined> {
  const loaded = await loadLibc({
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
    close: { arguments: ['int32'], return: 'int32' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  if (loaded === undefined) return undefined;
  const { libc, getInt32 } = loaded;
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
