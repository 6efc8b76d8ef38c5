import type { Verdict } from '../../lib/verdict.ts';
import type { BatchLimits, Sent, SinkDeps } from '../sink.ts';
import { Connection } from './connection.ts';
import { Credentials } from './credentials.ts';
import type { ConnectionFailure } from './failures.ts';
import { frame } from './framing.ts';
import { type OpenConnectionOptions, openConnection, openLastingConnection } from './open-connection.ts';
import { type SyslogOptions, targetOf } from './options.ts';
import { RelpDelivery } from './relp.ts';
import { StreamDelivery, streamDefaults } from './stream.ts';
import { loadTcpInfo } from './tcp-info.ts';
import { UdpDelivery } from './udp.ts';
import { UnixDelivery } from './unix.ts';

/** How messages get to one kind of address. Several may be sent at a time; they go in the order of the calls. */
export interface Transport {
  readonly window: number;
  readonly limits: BatchLimits;
  /** @throws the reason of `signal` */
  send(messages: readonly Buffer[], signal: AbortSignal): Promise<Verdict | Sent>;
  /** Has unconfirmed batches confirmed soon. @throws the reason of `signal` */
  finish?(signal: AbortSignal): Promise<void>;
  /** Connects and delivers nothing. @throws the reason of `signal` */
  probe(signal: AbortSignal): Promise<ConnectionFailure | undefined>;
  dispose(): void | Promise<void>;
}

/** One more than a stream leaves unconfirmed: a send that finds no room makes some, so the window never fills. */
const streamWindow = streamDefaults.maxUnconfirmedBatches + 1;
const streamLimits: BatchLimits = { maxEvents: 500, maxBytes: 256 * 1024 };
/** Small enough for the default buffer of a receiving socket (212,992 bytes on Linux). */
const datagramLimits: BatchLimits = { maxEvents: 100, maxBytes: 64 * 1024 };

/** TLS 1.3 reports a refused client certificate only after the handshake: how long to wait for that, milliseconds. */
const refusalMs = 500;
/** How long the peer may take for its close when the probe is done, milliseconds. */
const probeCloseMs = 500;

/** @throws the file system's or OpenSSL's error if a file of `tls` can't be read */
export function openTransport(options: SyslogOptions, deps: SinkDeps): Transport {
  const target = targetOf(options.address);
  const { address: where, timeout: timeoutMs, framing } = options;
  switch (target.transport) {
    case 'udp':
      return overUdp(new UdpDelivery({ host: target.host, port: target.port, where, timeoutMs, now: deps.now }));
    case 'unix':
      return overUnix(new UnixDelivery({ path: target.path, where, timeoutMs, framing: framing ?? 'newline' }));
    case 'tcp':
    case 'relp':
    case 'tls':
    case 'relp+tls': {
      const usesTls = target.transport === 'tls' || target.transport === 'relp+tls';
      const tls = usesTls ? new Credentials(options.tls, deps, where) : undefined;
      const connection = { to: target, where, timeoutMs, tcpInfo: loadTcpInfo(), ...(tls !== undefined && { tls }) };
      const isRelp = target.transport === 'relp' || target.transport === 'relp+tls';
      const transport = isRelp ? overRelp(connection, deps) : overStream(connection, framing ?? 'octet-counting');
      if (tls === undefined) return transport;
      const send: Transport['send'] = (messages, signal) => {
        tls.warnBeforeExpiry();
        return transport.send(messages, signal);
      };
      return { ...transport, send };
    }
  }
}

function overStream(connection: OpenConnectionOptions, framing: NonNullable<SyslogOptions['framing']>): Transport {
  const { where, timeoutMs, tls } = connection;
  const open = (signal: AbortSignal, doubtful: boolean) =>
    openLastingConnection(connection, doubtful && tls !== undefined ? refusalMs : 0, signal);
  const stream = new StreamDelivery({ ...streamDefaults, where, timeoutMs, open });
  return {
    window: streamWindow,
    limits: streamLimits,
    send: (messages, signal) => stream.send(frame(messages, framing), signal),
    finish: (signal) => stream.finish(signal),
    async probe(signal) {
      const opened = await openLastingConnection(connection, refusalMs, signal);
      if (!(opened instanceof Connection)) return opened;
      await opened.closeGracefully(probeCloseMs);
      return undefined;
    },
    dispose: () => stream.dispose(),
  };
}

function overRelp(connection: OpenConnectionOptions, { version }: SinkDeps): Transport {
  const { where, timeoutMs } = connection;
  const software = `qasphere-siem-forwarder,${version},https://qasphere.com`;
  const open = (signal: AbortSignal) => openConnection(connection, signal);
  const relp = new RelpDelivery({ where, timeoutMs, software, open });
  return {
    window: 1,
    limits: streamLimits,
    send: (messages, signal) => relp.send(messages, signal),
    probe: (signal) => relp.probe(signal),
    dispose: () => relp.dispose(),
  };
}

function overUnix(unix: UnixDelivery): Transport {
  return {
    window: streamWindow,
    limits: streamLimits,
    send: (messages, signal) => unix.send(messages, signal),
    finish: (signal) => unix.finish(signal),
    probe: (signal) => unix.probe(signal),
    dispose: () => unix.dispose(),
  };
}

function overUdp(udp: UdpDelivery): Transport {
  return {
    window: 1,
    limits: datagramLimits,
    send: (messages, signal) => udp.send(messages, signal),
    probe: (signal) => udp.probe(signal),
    dispose: () => udp.dispose(),
  };
}
