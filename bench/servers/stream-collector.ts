import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Authority } from '../../test/support/authority.ts';
import type { BenchServer } from './servers.ts';

/** Takes in a piece of a stream; returns how many records ended in it, and what is to be answered. */
type Reader = (piece: Buffer) => { readonly records: number; readonly answer?: string };

/** A collector that does nothing but count, so that it is not what is measured. */
export async function startStreamCollector(kind: 'tcp' | 'tls' | 'relp'): Promise<BenchServer> {
  let count = 0;
  const take = (socket: Socket) => {
    const read = kind === 'relp' ? relpReader() : syslogReader();
    socket.on('error', () => {});
    socket.on('data', (piece: Buffer) => {
      const { records, answer } = read(piece);
      count += records;
      if (answer !== undefined && answer !== '') socket.write(answer, 'latin1');
    });
  };
  const authority = kind === 'tls' ? new Authority() : undefined;
  const server = authority === undefined ? createServer(take) : createTlsServer(filesOf(authority), take);
  process.on('exit', () => authority?.[Symbol.dispose]());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `${kind}://127.0.0.1:${port}`, token: '', caFile: authority?.caFile ?? '', count: () => count };
}

function filesOf(authority: Authority) {
  const { certFile, keyFile } = authority.leaf();
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}

const [space, newline, digit0, digit9] = [0x20, 0x0a, 0x30, 0x39];

/** RFC 6587: octet counting, or ended by a newline; the first byte of the stream decides. */
export function syslogReader(): Reader {
  let counted: boolean | undefined;
  let left = 0;
  let length = 0;
  return (piece) => {
    counted ??= piece[0] !== 0x3c;
    let records = 0;
    if (!counted) {
      for (let at = piece.indexOf(newline); at !== -1; at = piece.indexOf(newline, at + 1)) records++;
      return { records };
    }
    for (let at = 0; at < piece.length; ) {
      if (left > 0) {
        const step = Math.min(left, piece.length - at);
        at += step;
        left -= step;
        if (left === 0) records++;
        continue;
      }
      const byte = piece[at++] ?? 0;
      if (byte === space) [left, length] = [length, 0];
      else length = length * 10 + byte - digit0;
    }
    return { records };
  };
}

const offers = '200 OK\nrelp_version=0\nrelp_software=bench\ncommands=syslog';

/** RELP: `TRANSACTION COMMAND LENGTH[ DATA]\n`; each frame is answered once it is whole. */
export function relpReader(): Reader {
  let rest: Buffer = Buffer.alloc(0);
  let left = 0;
  let [transaction, command] = ['', ''];
  return (piece) => {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let [at, records, answer] = [0, 0, ''];
    for (;;) {
      if (left > 0) {
        const step = Math.min(left, bytes.length - at);
        at += step;
        left -= step;
        if (left > 0) break;
        if (command === 'syslog') {
          records++;
          answer += `${transaction} rsp 6 200 OK\n`;
        } else if (command === 'open') answer += `${transaction} rsp ${offers.length} ${offers}\n`;
        else answer += `${transaction} rsp 0\n0 serverclose 0\n`;
      }
      const first = bytes.indexOf(space, at);
      const second = first === -1 ? -1 : bytes.indexOf(space, first + 1);
      if (second === -1) break;
      let [end, length] = [second + 1, 0];
      for (let byte = bytes[end]; byte !== undefined && byte >= digit0 && byte <= digit9; byte = bytes[++end])
        length = length * 10 + byte - digit0;
      if (end >= bytes.length) break;
      transaction = bytes.toString('latin1', at, first);
      command = bytes.toString('latin1', first + 1, second);
      left = length === 0 ? 1 : length + 2;
      at = end;
    }
    rest = Buffer.from(bytes.subarray(at));
    return { records, answer };
  };
}
