import { dlopen } from 'node:ffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const lookMs = 5;

/** A bound Unix datagram socket, as of systemd or a syslog daemon; reads only when asked to. */
export interface UnixReceiver extends Disposable {
  /** What has arrived since the last call. */
  take(): string[];
  /** Resolves with everything that arrives from now on, as soon as `check` holds. */
  until(check: (messages: readonly string[]) => boolean): Promise<string[]>;
}

/** @param path of a file that does not exist yet, or abstract with a leading NUL */
export function unixReceiver(path: string): UnixReceiver {
  const { functions: libc, lib } = dlopen(null, {
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    bind: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
    recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
    close: { arguments: ['int32'], return: 'int32' },
  });
  const name = Buffer.from(path.startsWith('\0') ? path : `${path}\0`);
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), name]);
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (libc.bind(socket, address, address.length) !== 0) throw new Error(`can't bind ${path}`);
  const buffer = Buffer.alloc(64 * 1024);
  const take = () => {
    const messages: string[] = [];
    for (;;) {
      const length = Number(libc.recv(socket, buffer, BigInt(buffer.length), MSG_DONTWAIT));
      if (length < 0) return messages;
      messages.push(buffer.toString('utf8', 0, length));
    }
  };
  return {
    take,
    until: (check) =>
      new Promise((resolve) => {
        const messages: string[] = [];
        const timer = setInterval(() => {
          messages.push(...take());
          if (!check(messages)) return;
          clearInterval(timer);
          resolve(messages);
        }, lookMs);
      }),
    [Symbol.dispose]() {
      libc.close(socket);
      lib.close();
    },
  };
}
