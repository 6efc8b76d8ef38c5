import { accepted, type Reject } from '../../lib/verdict.ts';
import type { SinkDefinition } from '../definition.ts';
import type { ProofOfDelivery, Sink, SinkDeps } from '../sink.ts';
import { checkSyslog } from './check.ts';
import { composeMessage, composePayload, composeStatusMessage, messageOptions } from './message.ts';
import { type SyslogOptions, syslogOptions, targetOf } from './options.ts';
import { openTransport } from './transport.ts';

/** By transport. A unix socket may be one of datagrams, so it is counted as one. */
const proofs = { udp: 'udp', unix: 'udp', tcp: 'tcp', tls: 'tcp', relp: 'relp', 'relp+tls': 'relp' } satisfies Record<
  string,
  ProofOfDelivery
>;

export const syslog = {
  type: 'syslog',
  options: syslogOptions.meta({ title: 'Syslog or RELP receiver' }),
  environment: { name: 'syslog', variables: { SYSLOG_ADDRESS: 'address', SYSLOG_FORMAT: 'format' } },
  terms: { probe: 'connection', address: 'address', credentials: 'tls' },
  proof: ({ address }) => proofs[targetOf(address).transport],
  destination: ({ address }) => address,
  open: openSyslog,
  check: checkSyslog,
} satisfies SinkDefinition<SyslogOptions>;

/** A sink that speaks syslog. @throws the file system's or OpenSSL's error if a file of `tls` can't be read */
export function openSyslog(options: SyslogOptions, deps: SinkDeps): Sink {
  const transport = openTransport(options, deps);
  const messages = messageOptions(options, deps);
  return {
    window: transport.window,
    limits: transport.limits,
    async send({ records }, signal) {
      const composed = records.map((encoded) => composeMessage(encoded, messages));
      const failedIndex = composed.findIndex((one) => !Buffer.isBuffer(one));
      if (failedIndex >= 0) return { ...(composed[failedIndex] as Reject), failedIndex };
      return transport.send(composed as Buffer[], signal);
    },
    recordOf: (encoded) => composePayload(encoded, messages),
    sendStatus: (record, signal) => transport.send([composeStatusMessage(record, messages)], signal),
    finish: async (signal) => transport.finish?.(signal),
    probe: async (signal) => (await transport.probe(signal))?.verdict ?? accepted,
    [Symbol.asyncDispose]: async () => transport.dispose(),
  };
}
