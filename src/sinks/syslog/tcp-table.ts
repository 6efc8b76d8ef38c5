import { open } from 'node:fs/promises';
import { isIPv6, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { type KeptConnection, type TcpKernel, type TcpQueue, tcpKernel } from './tcp-queue.ts';

/** What the kernel knows of a TCP connection; `gone` where it lists none such. */
export interface TcpState {
  readonly state: 'established' | 'closing' | 'gone';
  /** Sent and not acknowledged by the other side's TCP, or not yet sent. */
  readonly unacknowledgedBytes: number;
}

/** Looks one connection up; undefined where the kernel has no such table, or too long a one. Never rejects. */
export type TcpLookup = () => Promise<TcpState | undefined>;

/** TCP_ESTABLISHED and TCP_CLOSE (include/net/tcp_states.h of Linux); others we meet are on the way from one to the other. */
const established = 1;
const closed = 7;
/** A table of some 25,000 connections: more would cost more than it tells. */
const longestTable = 4 * 1024 ** 2;
const longestRead = 64 * 1024;

const gone: TcpState = { state: 'gone', unacknowledgedBytes: 0 };

/**
 * What the kernel tells of connections: asked about the socket where that can be done, else read from /proc/net/tcp and
 * tcp6 (proc(5)). Such a reading takes milliseconds, however few connections there are: the kernel goes through its whole
 * hash table.
 */
export class TcpTable {
  /** The files that have listed a connection of ours: only then does one's absence mean something. */
  readonly #listing = new Set<string>();
  readonly #ready: Promise<TcpKernel | undefined>;
  #kernel: TcpKernel | undefined;

  constructor(kernel = tcpKernel()) {
    this.#ready = kernel.then((found) => {
      this.#kernel = found;
      return found;
    });
  }

  /** Keeps a connection beyond its socket's end; undefined where that can't be done, or not before the first look. */
  keep(socket: Socket): KeptConnection | undefined {
    return this.#kernel?.keep(socket);
  }

  /** For a connected socket. Where only the table is left and no other was listed before, this one is looked for at once. */
  lookup(socket: Socket): TcpLookup {
    const inTable = this.#inTable(socket);
    const ready = this.#ready.then(async (kernel) => {
      if (kernel?.queue(socket) === undefined) await inTable.first();
      return kernel;
    });
    return async () => {
      const kernel = await ready;
      const queue = kernel?.queue(socket);
      if (queue !== undefined) return stateOf(queue);
      return kernel !== undefined && socket.destroyed ? gone : inTable.look();
    };
  }

  #inTable(socket: Socket): { first(): Promise<unknown>; look: TcpLookup } {
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    const nothing = async () => undefined;
    if (process.platform !== 'linux' || !localAddress || !localPort || !remoteAddress || !remotePort)
      return { first: nothing, look: nothing };
    const file = isIPv6(remoteAddress) ? '/proc/self/net/tcp6' : '/proc/self/net/tcp';
    const wanted = ` ${endpoint(localAddress, localPort)} ${endpoint(remoteAddress, remotePort)} `;
    const look = async (): Promise<TcpState | undefined> => {
      const table = await readUntil(file, wanted).catch(() => undefined);
      if (table === undefined) return undefined;
      const at = table.indexOf(wanted);
      if (at < 0) return this.#listing.has(file) ? gone : undefined;
      this.#listing.add(file);
      const [state = '', queues = ''] = table.slice(at + wanted.length, at + wanted.length + 20).split(' ');
      return stateOf({
        state: Number.parseInt(state, 16),
        unacknowledgedBytes: Number.parseInt(queues.slice(0, 8), 16),
      });
    };
    return { first: async () => (this.#listing.has(file) ? undefined : look()), look };
  }
}

function stateOf({ state, unacknowledgedBytes }: TcpQueue): TcpState {
  if (state === closed) return gone;
  return { state: state === established ? 'established' : 'closing', unacknowledgedBytes };
}

/**
 * The piece of the table that holds the line with `wanted`; '' where no line does. Stops at the line: only at its very end the
 * kernel goes through the table once more. Undefined where it is too long. (A read gives a page of memory, 4 KiB, at most.)
 */
async function readUntil(file: string, wanted: string): Promise<string | undefined> {
  await using table = await open(file);
  const chunk = Buffer.allocUnsafe(longestRead);
  let unfinished = '';
  for (let length = 0; length <= longestTable; ) {
    const { bytesRead } = await table.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) return '';
    length += bytesRead;
    const piece = unfinished + chunk.toString('latin1', 0, bytesRead);
    const lineEnd = piece.lastIndexOf('\n') + 1;
    const at = piece.indexOf(wanted);
    if (at >= 0 && at < lineEnd) return piece;
    unfinished = piece.slice(lineEnd);
  }
  return undefined;
}

/** `0100007F:01BB`: each 32-bit word of the address in the machine's byte order, in hex. */
function endpoint(address: string, port: number): string {
  const bytes = isIPv6(address) ? bytesOfIPv6(address) : address.split('.').map(Number);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.slice(at, at + 4);
    words.push(hex(endianness() === 'LE' ? word.toReversed() : word));
  }
  return `${words.join('')}:${hex([port >> 8, port & 255])}`;
}

const hex = (bytes: readonly number[]) =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');

function bytesOfIPv6(address: string): number[] {
  const plain = address.replace(/%.*$/, '');
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  const pair = (high: number, low: number) => ((high << 8) | low).toString(16);
  const text =
    mapped === null
      ? plain
      : `${mapped[1]}${pair(Number(mapped[2]), Number(mapped[3]))}:${pair(Number(mapped[4]), Number(mapped[5]))}`;
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill('0'), ...last]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255]);
}
