import { BufferPool } from '../../lib/buffer-pool.ts';
import { unixDatagramSocket } from '../../lib/unix-datagram.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { BatchLimits, Sent, SinkDeps } from '../sink.ts';
import type { Target } from './address.ts';
import { CertificateExpiry } from './certificate-expiry.ts';
import { Connection } from './connection.ts';
import { credentials } from './credentials.ts';
import { DatagramDelivery } from './datagram.ts';
import type { ConnectionFailure } from './failures.ts';
import { type Framing, framed } from './framing.ts';
import type { Message } from './message.ts';
import { type OpenConnectionOptions, openConnection, openWithExpiryCheck } from './open-connection.ts';
import type { SyslogOptions } from './options.ts';
import { RelpDelivery } from './relp-delivery.ts';
import { StreamDelivery } from './stream.ts';
import { streamDefaults } from './stream-rules.ts';
import { TcpTable } from './tcp-table.ts';
import { noDatagrams, UnixDelivery, type UnixOptions } from './unix.ts';

/** How messages get to one kind of address. */
export interface Delivery {
  readonly window: number;
  readonly limits: BatchLimits;
  /** How often sent batches came back so far; undefined where each has its verdict when `send` ends. */
  readonly returns?: number;
  /** Sends nothing where batches came back after `returns` was read: they go first. @throws the reason of `kill` */
  send(messages: readonly Message[], kill: AbortSignal, returns?: number): Promise<Verdict | Sent>;
  finish(kill: AbortSignal): Promise<void>;
  /** Connects and delivers nothing. @throws the reason of `kill` */
  probe(kill: AbortSignal): Promise<ConnectionFailure | undefined>;
  dispose(): Promise<void>;
}

/** One more than a stream leaves unconfirmed: its window never fills, since a send that finds no room makes some. */
const streamWindow = streamDefaults.maxUnconfirmedBatches + 1;
const streamLimits: BatchLimits = { maxEvents: 500, maxBytes: 256 * 1024 };
/** Small enough for a receiver's default socket buffer (212,992 bytes on Linux). */
const datagramLimits: BatchLimits = { maxEvents: 100, maxBytes: 64 * 1024 };

/** Under TLS 1.3 a refused client certificate shows only after the handshake: how long that is waited for, milliseconds. */
const refusalMs = 500;

/** The way to `target`. @throws the file system's or OpenSSL's error where a file of `tls` can't be read */
export function deliveryTo(target: Target, options: SyslogOptions, deps: SinkDeps): Delivery {
  const where = options.address;
  const { timeout: timeoutMs } = options;
  switch (target.transport) {
    case 'udp':
      return overUdp(new DatagramDelivery({ host: target.host, port: target.port, where }, deps.now));
    case 'unix':
      return overUnix({ path: target.path, where, timeoutMs });
    case 'tcp':
      return overStream({ to: target, where, timeoutMs }, options.framing);
    case 'relp':
      return overRelp({ to: target, where, timeoutMs }, deps);
    case 'tls': {
      const { wire, watch } = secure(target, options, deps);
      return watched(overStream(wire, options.framing), watch);
    }
    case 'relp+tls': {
      const { wire, watch } = secure(target, options, deps);
      return watched(overRelp(wire, deps), watch);
    }
  }
}

function secure(to: { readonly host: string; readonly port: number }, options: SyslogOptions, deps: SinkDeps) {
  const where = options.address;
  const watch = new CertificateExpiry(deps, where);
  const tls = credentials(options.tls, (detail) =>
    deps.emit({ event: 'sink.warning', sink: deps.name, topic: 'tls', detail }),
  );
  const wire: OpenConnectionOptions = {
    to,
    where,
    timeoutMs: options.timeout,
    tls,
    onCertificate: (certificate) => {
      watch.note('collector’s', Date.parse(certificate.valid_to));
      watch.note('client', tls.clientCertificateExpiresMs);
    },
  };
  return { wire, watch };
}

/** Looks at the ends of certificates with every batch: a connection may last for months. */
const watched = (delivery: Delivery, watch: CertificateExpiry): Delivery => ({
  ...delivery,
  get returns() {
    return delivery.returns ?? 0;
  },
  send(messages, kill, returns) {
    watch.check();
    return delivery.send(messages, kill, returns);
  },
});

function overStream(wire: OpenConnectionOptions, framing: Framing): Delivery {
  const stream = streamOver(wire);
  const spare = new BufferPool();
  return {
    window: streamWindow,
    limits: streamLimits,
    get returns() {
      return stream.returns;
    },
    async send(messages, kill, returns) {
      let memory: Buffer = Buffer.alloc(0);
      const frames = framed(messages, framing, (bytes) => {
        memory = spare.take(bytes);
        return memory;
      });
      const outcome = await stream.send(frames, kill, returns);
      // Of a write that failed a part may still be on its way.
      if (outcome.kind === 'sent') spare.giveBack(memory);
      return outcome;
    },
    finish: (kill) => stream.finish(kill),
    probe: (kill) => probeStream(wire, kill),
    dispose: () => stream.dispose(),
  };
}

function streamOver(options: OpenConnectionOptions): StreamDelivery {
  const wire = { table: new TcpTable(), ...options };
  const { where, timeoutMs } = wire;
  return new StreamDelivery({
    ...streamDefaults,
    where,
    timeoutMs,
    open: (kill, doubtful) => openWithExpiryCheck(wire, doubtful && wire.tls !== undefined ? refusalMs : 0, kill),
  });
}

function overRelp(wire: OpenConnectionOptions, deps: SinkDeps): Delivery {
  const software = `qasphere-siem-forwarder,${deps.version},https://qasphere.com`;
  const { where, timeoutMs } = wire;
  const relp = new RelpDelivery({ where, timeoutMs, software, open: (kill) => openConnection(wire, kill) });
  return {
    window: 1,
    limits: streamLimits,
    send: (messages, kill) => relp.send(buffersOf(messages), kill),
    finish: async () => {},
    probe: (kill) => relp.probe(kill),
    dispose: () => relp.dispose(),
  };
}

function overUnix(options: UnixOptions): Delivery {
  const wire: OpenConnectionOptions = {
    to: { path: options.path },
    where: options.where,
    timeoutMs: options.timeoutMs,
  };
  const unix = new UnixDelivery(options, streamOver(wire));
  return {
    window: streamWindow,
    limits: streamLimits,
    get returns() {
      return unix.returns;
    },
    send: (messages, kill, returns) => unix.send(messages, kill, returns),
    finish: (kill) => unix.finish(kill),
    async probe(kill) {
      const fault = await probeStream(wire, kill);
      if (fault?.code !== 'EPROTOTYPE') return fault;
      using datagrams = await unixDatagramSocket();
      return datagrams === undefined ? noDatagrams(options.where) : undefined;
    },
    dispose: () => unix.dispose(),
  };
}

function overUdp(udp: DatagramDelivery): Delivery {
  return {
    window: 1,
    limits: datagramLimits,
    send: (messages, kill) => udp.send(buffersOf(messages), kill),
    finish: async () => {},
    probe: (kill) => udp.probe(kill),
    dispose: async () => udp.dispose(),
  };
}

const buffersOf = (messages: readonly Message[]) => messages.map((message) => message.toBuffer());

/** How long a collector may take for its close when `check` has seen enough, milliseconds. */
const farewellMs = 500;

async function probeStream(wire: OpenConnectionOptions, kill: AbortSignal): Promise<ConnectionFailure | undefined> {
  const opened = await openWithExpiryCheck(wire, refusalMs, kill);
  if (!(opened instanceof Connection)) return opened;
  await opened.closeGently(farewellMs);
  return undefined;
}
