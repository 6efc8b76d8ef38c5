import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { type Certificates, certificates, hasOpenssl, pem } from '../test/support/certificates.ts';
import { type Fault, startHecServer } from '../test/support/hec-server.ts';
import { type Exchange, relpServer, type ServerFrame } from '../test/support/relp-server.ts';
import { rsyslogMissing, startRsyslog } from '../test/support/rsyslog.ts';
import { tcpServer } from '../test/support/tcp-server.ts';
import { type Held, idOf } from './oracle.ts';

/** The other end of one sink. */
export interface Collector extends AsyncDisposable {
  /** The sink's entry in the configuration, without its name. */
  readonly entry: string;
  /** All it holds, in order of arrival. Waits for what is still on the way where `count` says how many must come. */
  held(count?: number): Promise<readonly Held[]>;
  /** Of those the ones whose confirmation was given, where that is another thing than having them. */
  confirmed?(): readonly Held[];
  /** How many events may be sent and not yet confirmed, with pages of `pageSize`; all of them where it is a stream. */
  inFlight(pageSize: number): number;
}

export interface CollectorOptions {
  /** A directory of its own. */
  readonly directory: string;
  /** Asked once a request (of data, or for acknowledgements) or frame; HEC and RELP only. */
  readonly fault?: (asked?: { readonly kind: string }) => Fault | undefined;
  readonly token?: string;
  /** Of HEC with acknowledgement; short, so that what a death left unconfirmed is soon sent again. */
  readonly ackTimeout?: string;
}

/** Every kind of sink there is, by a name for the table. */
export const kinds: Readonly<Record<string, { open(options: CollectorOptions): Promise<Collector>; missing?: string | undefined }>> = {
  'stdout file': { open: stdout },
  'HEC': { open: (options) => hec(options, {}) },
  'HEC with ack': { open: (options) => hec(options, { tokenState: 'ack', ackAfter: 1 }) },
  'HEC, some refused': { open: (options) => hec(options, { refuse: (raw: Buffer) => (isPoison(String(raw)) ? 6 : undefined), keeps: 'none' }) },
  'HEC ack, some refused': { open: (options) => hec(options, { tokenState: 'ack', refuse: (raw: Buffer) => (isPoison(String(raw)) ? 6 : undefined), keeps: 'none' }) },
  'syslog tcp': { open: tcp },
  'syslog unix': { open: unix },
  'syslog tls': { open: tls, missing: hasOpenssl ? undefined : 'no openssl here to make certificates with' },
  'syslog relp': { open: relp },
  'rsyslog relp': { open: (options) => rsyslog(options, 'relp'), missing: rsyslogMissing('imrelp') },
  'rsyslog tcp': { open: (options) => rsyslog(options, 'tcp'), missing: rsyslogMissing() },
}; // biome-ignore format: a table

/** Opens those that can be had here, by the names of their sinks; `stack` closes them. */
export async function openCollectors(
  sinks: Readonly<Record<string, string>>,
  options: CollectorOptions,
  stack: AsyncDisposableStack,
): Promise<(readonly [sink: string, collector: Collector])[]> {
  const collectors: (readonly [string, Collector])[] = [];
  for (const [name, kind] of Object.entries(sinks)) {
    const { open, missing } = kinds[kind] ?? {};
    if (open !== undefined && missing === undefined) collectors.push([name, stack.use(await open(options))]);
  }
  return collectors;
}

/** Events that the refusing collector takes for invalid. */
export const isPoison = (text: string): boolean => idOf(text) % 41n === 0n;

export const hecToken = 'canary-hec-token-5d1f0a6c7e';

async function hec(
  { fault, token = hecToken, ackTimeout = '5s' }: CollectorOptions,
  rules: object,
): Promise<Collector> {
  const server = await startHecServer({ token, ...rules, ...(fault !== undefined && { fault }) });
  const ack = 'tokenState' in rules;
  return {
    entry: `type: splunk-hec, url: "${server.url}", token: "${token}", acknowledgement: ${ack}${ack ? `, ackTimeout: ${ackTimeout}` : ''}`,
    held: async () => server.events.map(({ raw }) => ({ text: String(raw) })),
    ...(ack && {
      confirmed() {
        let at = 0;
        return server.requests.flatMap(({ kept = 0, confirmed }) => {
          const events = server.events.slice(at, at + kept);
          at += kept;
          return confirmed === true ? events.map(({ raw }) => ({ text: String(raw) })) : [];
        });
      },
    }),
    inFlight: (pageSize) => (ack ? 32 : 1) * pageSize,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function stdout({ directory }: CollectorOptions): Promise<Collector> {
  const file = join(directory, 'out.ndjson');
  return {
    entry: 'type: stdout',
    // What a kill cut off is no record: its event comes again, on a line of its own.
    held: async () =>
      linesIn(file)
        .filter(isWhole)
        .map((text) => ({ text })),
    inFlight: (pageSize) => pageSize,
    async [Symbol.asyncDispose]() {},
  };
}

export function linesIn(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** The record of a syslog message: all from its first brace that begins an event. */
const recordOf = (message: string): Held => ({ text: message.slice(message.indexOf(' {"id":') + 1) });

/** Whole frames of RFC 6587, octet counting; what a death cut off at the end is none. */
export function framesOf(bytes: Buffer): Held[] {
  const held: Held[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    if (space === -1) break;
    const count = bytes.toString('latin1', at, space);
    if (!/^[1-9]\d*$/.test(count)) {
      held.push({ text: `no frame: ${count.slice(0, 40)}` });
      break;
    }
    const end = space + 1 + Number(count);
    if (end > bytes.length) break;
    held.push(recordOf(bytes.toString('utf8', space + 1, end)));
    at = end;
  }
  return held;
}

async function tcp(): Promise<Collector> {
  const server = await tcpServer();
  return {
    entry: `type: syslog, address: "tcp://127.0.0.1:${server.port}"`,
    held: async () => server.received.flatMap((pieces) => framesOf(Buffer.concat(pieces))),
    inFlight: () => Number.POSITIVE_INFINITY,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function unix({ directory }: CollectorOptions): Promise<Collector> {
  const path = join(directory, 'socket');
  const server = await tcpServer(undefined, { path });
  return {
    entry: `type: syslog, rfc: 5424, address: "unix://${path}"`,
    held: async () => server.received.flatMap((pieces) => linesOf(Buffer.concat(pieces).toString('utf8'))),
    inFlight: () => Number.POSITIVE_INFINITY,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Whole lines; what a death cut off at the end is none. */
function linesOf(text: string): Held[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map(recordOf);
}

let authority: Certificates | undefined;

async function tls(): Promise<Collector> {
  if (authority === undefined) {
    authority = certificates();
    process.once('exit', () => authority?.[Symbol.dispose]());
  }
  const { cert, key } = authority.certificate('localhost');
  const received: Buffer[][] = [];
  const server = createTlsServer({ cert: pem(cert), key: pem(key) }, (socket) => {
    const pieces: Buffer[] = [];
    received.push(pieces);
    socket.on('data', (chunk: Buffer) => pieces.push(chunk)).on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    entry: `type: syslog, address: "tls://localhost:${port}", tls: { caFile: "${authority.ca}" }`,
    held: async () => received.flatMap((pieces) => framesOf(Buffer.concat(pieces))),
    inFlight: () => Number.POSITIVE_INFINITY,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function relp({ fault }: CollectorOptions): Promise<Collector> {
  const script = (_: ServerFrame, { answer, socket }: Exchange) => {
    const hit = fault?.();
    if (hit === 'reset-after') return void socket.destroy();
    answer();
  };
  const server = await relpServer(script);
  return {
    entry: `type: syslog, address: "relp://127.0.0.1:${server.port}"`,
    held: async () => server.messages().map(recordOf),
    inFlight: (pageSize) => pageSize,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A real one. Of a message that a death cut off it makes a record all the same: that is no event of ours. */
async function rsyslog(_: CollectorOptions, scheme: 'tcp' | 'relp'): Promise<Collector> {
  const server = await startRsyslog({ inputs: [{ type: scheme === 'tcp' ? 'imtcp' : 'imrelp' }] });
  return {
    entry: `type: syslog, address: "${scheme}://127.0.0.1:${server.port}"`,
    async held(count = 0) {
      await server.waitForCount(count, 5_000).catch(() => {});
      return (await server.lines())
        .map(({ msg }) => msg)
        .filter(isWhole)
        .map((text) => ({ text }));
    },
    inFlight: (pageSize) => (scheme === 'tcp' ? Number.POSITIVE_INFINITY : pageSize),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
