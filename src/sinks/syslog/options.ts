import { domainToASCII } from 'node:url';
import * as z from 'zod';
import { tlsBlock } from '../../lib/options/tls.ts';
import { duration, runEvenIfInvalid, size } from '../../lib/options/values.ts';
import { checkRecords, entry } from '../common-options.ts';

/** Facility names of RFC 5424 table 1 as collectors write them; the index is the number. */
export const facilities = [
  'kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', 'ntp', 'audit',
  'alert', 'clock', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7',
] as const; // biome-ignore format: a table

const transports = ['udp:', 'tcp:', 'tls:', 'relp:', 'relp+tls:', 'unix:'];

function addressProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !transports.includes(url.protocol))
    return 'write udp:// tcp:// tls:// relp:// or relp+tls:// with host:port, or unix:///path';
  if (url.username !== '' || url.password !== '') return 'must not contain a user or password';
  if (url.search !== '' || url.hash !== '') return 'must not have a query';
  if (url.protocol === 'unix:') return url.pathname.length > 1 && url.host === '' ? undefined : 'write unix:///path';
  if (url.hostname === '') return 'has no host';
  if (url.pathname !== '' && url.pathname !== '/') return 'must not have a path';
  if (url.port === '' && url.protocol.startsWith('relp')) return 'has no port: RELP has no default port';
  return undefined;
}

/** Payload of a UDP datagram over IPv4 (RFC 768, RFC 791): 65,535 minus two headers of 20 and 8 bytes. */
const maxDatagramBytes = 65_507;

/** The members that every record of these formats has are not shortened: with less room no event would fit. Bytes. */
const leastMessageBytes: Readonly<Record<string, number>> = { ecs: 1_000, ocsf: 1_000 };

/** Configuration of a `syslog` sink. */
export const syslogOptions = entry('syslog')
  .extend({
    address: z
      .string()
      .superRefine((text, context) => {
        const problem = addressProblem(text);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .describe('udp:// tcp:// tls:// relp:// relp+tls:// with host:port, or unix:///dev/log.'),
    framing: z
      .enum(['octet-counting', 'newline'])
      .optional()
      .describe('Framing on tcp, tls and unix streams; default octet-counting, on unix newline.'),
    rfc: z
      .union([z.literal(5424), z.literal(3164)])
      .optional()
      .describe('Message format; default 5424, on unix:///dev/log 3164.'),
    maxMessageBytes: size(480, 1024 ** 2)
      .optional()
      .describe('Longest message without the count of the frame; default 8000, on udp 1180.'),
    facility: z
      .union([z.enum(facilities), z.int().min(0).max(23)])
      .default('audit')
      .describe('Facility by name or number.'),
    appName: z
      .string()
      .regex(/^[!-~]{1,48}$/, 'write 1 to 48 printable ASCII characters without space')
      .default('qasphere')
      .describe('APP-NAME.'),
    sdId: z
      .string()
      .regex(/^[!#-<>-\\^-~]{1,32}$/, 'write a structured data id such as qasphere@32473')
      .default('qasphere@32473')
      .describe('Id of the structured data element.'),
    severity: z
      .record(z.string().min(1), z.enum(['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug']))
      .optional()
      .describe('Severity by action: globs, the first that matches wins over the built-in table.'),
    timeout: duration(100)
      .prefault('30s')
      .describe('Longest wait for a connection, and for progress of a write or a response.'),
    tls: tlsBlock.optional(),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine((options, context) => {
    const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (options.tls !== undefined && !/^(tls|relp\+tls):/.test(options.address))
      problem('tls', 'has no effect here: write tls:// or relp+tls://');
    const [, transport = ''] = /^(udp|relp|relp\+tls):/.exec(options.address) ?? [];
    if (options.framing !== undefined && transport !== '')
      problem('framing', `has no effect here: ${transport}:// has its own; framing is for tcp://, tls:// and unix://`);
    if (transport === 'udp' && (options.maxMessageBytes ?? 0) > maxDatagramBytes)
      problem('maxMessageBytes', `is more than a UDP datagram can hold: at most ${maxDatagramBytes}`);
    const leastBytes = leastMessageBytes[options.format];
    if (leastBytes !== undefined && (options.maxMessageBytes ?? leastBytes) < leastBytes)
      problem('maxMessageBytes', `is too small for format ${options.format}: at least ${leastBytes}`);
  });
export type SyslogOptions = z.infer<typeof syslogOptions>;

export type Target =
  | { readonly transport: 'udp' | 'tcp' | 'tls' | 'relp' | 'relp+tls'; readonly host: string; readonly port: number }
  | { readonly transport: 'unix'; readonly path: string };

/** Ports if the address has none: RFC 5426 section 3.3 and custom (514), RFC 5425 section 4.1 (6514). RELP has none. */
const defaultPorts: Readonly<Record<string, number>> = { udp: 514, tcp: 514, tls: 6514 };

/** The target of an address that `syslogOptions` has accepted. */
export function targetOf(address: string): Target {
  const url = new URL(address);
  const transport = url.protocol.slice(0, -1) as Target['transport'];
  if (transport === 'unix') return { transport, path: decodeURIComponent(url.pathname) };
  const name = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '');
  const host = name.includes(':') ? name : domainToASCII(name) || name;
  return { transport, host, port: url.port === '' ? (defaultPorts[transport] ?? 0) : Number(url.port) };
}
