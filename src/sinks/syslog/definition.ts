import type { ProofOfDelivery, SinkDefinition } from '../definition.ts';
import { targetOf } from './address.ts';
import { checkSyslog } from './check.ts';
import { type SyslogOptions, syslogOptions } from './options.ts';
import { openSyslog } from './sink.ts';

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
