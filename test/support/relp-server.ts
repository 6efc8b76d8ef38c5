import type { Socket } from 'node:net';
import { type TcpServer, tcpServer } from './tcp-server.ts';

/** A frame as a server reads it; independent of the client's parser. */
export interface ServerFrame {
  readonly transaction: number;
  readonly command: string;
  readonly data: string;
}

export interface Exchange {
  readonly socket: Socket;
  /** Number of `syslog` frames on this connection so far, this one included. */
  readonly count: number;
  readonly connection: number;
  /** Answers the frame; default text '200 OK'. */
  answer(text?: string): void;
}

/** What the server does with a `syslog` frame; by default it answers 200. */
export type Script = (frame: ServerFrame, exchange: Exchange) => void;

export interface RelpServer extends AsyncDisposable {
  readonly port: number;
  readonly tcp: TcpServer;
  /** Every frame of every connection, in order. */
  readonly frames: readonly ServerFrame[];
  /** The data of all `syslog` frames. */
  messages(): string[];
}

const offers = '200 OK\nrelp_version=0\nrelp_software=scripted,1,http://localhost\ncommands=syslog';

/** Speaks RELP as librelp does: answers `open` with its offers, `close` with nothing, then `serverclose`. */
export async function relpServer(
  script: Script = (_, { answer }) => answer(),
  opening: string | undefined = offers,
): Promise<RelpServer> {
  const frames: ServerFrame[] = [];
  const tcp = await tcpServer((socket, connection) => {
    let rest = '';
    let count = 0;
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1');
      for (;;) {
        const head = /^(\d+) ([a-z]+) (\d+)( |\n)/.exec(rest);
        if (head === null) return;
        const length = Number(head[3]);
        const end = head[0].length + (length > 0 ? length + 1 : 0);
        if (rest.length < end) return;
        const data = Buffer.from(rest.slice(head[0].length, head[0].length + length), 'latin1').toString('utf8');
        if (length > 0 && rest[end - 1] !== '\n') throw new Error('a frame without its line feed');
        rest = rest.slice(end);
        const frame = { transaction: Number(head[1]), command: head[2] ?? '', data };
        frames.push(frame);
        const answer = (text = '200 OK') =>
          void socket.write(`${frame.transaction} rsp ${Buffer.byteLength(text)} ${text}\n`);
        if (frame.command === 'open' && opening !== '') answer(opening);
        if (frame.command === 'syslog') script(frame, { socket, count: ++count, connection, answer });
        if (frame.command === 'close') socket.end(`${frame.transaction} rsp 0\n0 serverclose 0\n`);
      }
    });
  });
  return {
    port: tcp.port,
    tcp,
    frames,
    messages: () => frames.filter(({ command }) => command === 'syslog').map(({ data }) => data),
    [Symbol.asyncDispose]: () => tcp[Symbol.asyncDispose](),
  };
}
