import type { Verdict } from '../../core/verdict.ts';
import { accepted } from '../../core/verdict.ts';
import { tlsMaterial } from '../../net/tls.ts';
import { unixDatagramSocket } from '../../net/unix-datagram.ts';
import type { BatchLimits, Sent, SinkDeps } from '../sink.ts';
import type { Target } from './address.ts';
import { DatagramDelivery } from './datagram.ts';
import type { Fault } from './faults.ts';
import { type Framing, framed } from './framing.ts';
import type { SyslogOptions } from './options.ts';
import { StreamDelivery, streamDefaults } from './stream.ts';
import { noDatagrams, UnixDelivery, type UnixOptions } from './unix.ts';
import { openWire, Wire, type WireOptions } from './wire.ts';

/** How messages get to one kind of address. */
export interface Delivery {
  readonly window: number;
  readonly limits: BatchLimits;
  /** @throws the reason of `kill` */
  send(messages: readonly Buffer[], kill: AbortSignal): Promise<Verdict | Sent>;
  finish(kill: AbortSignal): Promise<void>;
  probe(kill: AbortSignal): Promise<Verdict>;
  dispose(): Promise<void>;
}

const streamLimits: BatchLimits = { maxEvents: 500, maxBytes: 256 * 1024 };
/** Small enough for a receiver's default socket buffer (212,992 bytes on Linux). */
const datagramLimits: BatchLimits = { maxEvents: 100, maxBytes: 64 * 1024 };

export function deliveryTo(target: Target, options: SyslogOptions, deps: SinkDeps): Delivery {
  const where = options.address;
  switch (target.transport) {
    case 'udp':
      return overUdp(new DatagramDelivery({ host: target.host, port: target.port, where }, deps.now));
    case 'tcp':
    case 'tls': {
      const tls =
        target.transport === 'tls' ? (tlsMaterial(options.tls)?.secure ?? { minVersion: 'TLSv1.2' }) : undefined;
      const to = { host: target.host, port: target.port };
      return overStream({ to, where, timeoutMs: options.timeout, tls }, options.framing);
    }
    case 'unix':
      return overUnix({ path: target.path, where, timeoutMs: options.timeout });
    case 'relp':
    case 'relp+tls':
      throw new Error(`${target.transport}:// is not supported yet`);
  }
}

function overStream(wire: WireOptions, framing: Framing): Delivery {
  const stream = new StreamDelivery({ ...streamDefaults, open: (kill) => openWire(wire, kill) });
  return {
    window: 64,
    limits: streamLimits,
    send: (messages, kill) => stream.send(framed(messages, framing), kill),
    finish: (kill) => stream.finish(kill),
    probe: async (kill) => (await probeStream(wire, kill))?.verdict ?? accepted,
    async dispose() {
      stream.dispose();
    },
  };
}

/** How long a new connection is watched: a refused client certificate shows only after the handshake (TLS 1.3). */
const watchMs = 500;

async function probeStream(options: WireOptions, kill: AbortSignal): Promise<Fault | undefined> {
  const wire = await openWire(options, kill);
  if (!(wire instanceof Wire)) return wire;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, watchMs);
  kill.addEventListener('abort', () => resolve(), { once: true });
  wire.whenOver(resolve);
  await promise;
  clearTimeout(timer);
  const { fault } = wire;
  wire.destroy();
  kill.throwIfAborted();
  return fault;
}

function overUnix(options: UnixOptions): Delivery {
  const wire: WireOptions = { to: { path: options.path }, where: options.where, timeoutMs: options.timeoutMs };
  const unix = new UnixDelivery(
    options,
    new StreamDelivery({ ...streamDefaults, open: (kill) => openWire(wire, kill) }),
  );
  return {
    window: 64,
    limits: streamLimits,
    send: (messages, kill) => unix.send(messages, kill),
    finish: (kill) => unix.finish(kill),
    async probe(kill) {
      const fault = await probeStream(wire, kill);
      if (fault?.code !== 'EPROTOTYPE') return fault?.verdict ?? accepted;
      using datagrams = await unixDatagramSocket();
      return datagrams === undefined ? noDatagrams(options.where).verdict : accepted;
    },
    async dispose() {
      unix.dispose();
    },
  };
}

function overUdp(udp: DatagramDelivery): Delivery {
  return {
    window: 1,
    limits: datagramLimits,
    send: (messages, kill) => udp.send(messages, kill),
    async finish() {},
    async probe(kill) {
      const fault = await udp.probe();
      kill.throwIfAborted();
      return fault?.verdict ?? accepted;
    },
    async dispose() {
      udp.dispose();
    },
  };
}
