import { domainToASCII } from 'node:url';

/** Where an address leads. */
export type Target =
  | { readonly transport: 'udp' | 'tcp' | 'tls' | 'relp' | 'relp+tls'; readonly host: string; readonly port: number }
  | { readonly transport: 'unix'; readonly path: string };

/** Ports where the address names none: RFC 5426 section 3.3 and custom (514), RFC 5425 section 4.1 (6514). RELP has none. */
const ports: Readonly<Record<string, number>> = { udp: 514, tcp: 514, tls: 6514 };

/** The target of an address that `syslogOptions` has let pass. */
export function targetOf(address: string): Target {
  const url = new URL(address);
  const transport = url.protocol.slice(0, -1) as Target['transport'];
  if (transport === 'unix') return { transport, path: decodeURIComponent(url.pathname) };
  const name = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '');
  const host = name.includes(':') ? name : domainToASCII(name) || name;
  return { transport, host, port: url.port === '' ? (ports[transport] ?? 0) : Number(url.port) };
}
