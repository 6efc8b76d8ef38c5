import * as z from 'zod';
import { tlsBlock } from '../../lib/options/tls.ts';
import { duration, runEvenIfInvalid, size } from '../../lib/options/values.ts';
import { checkRecords, entry } from '../common-options.ts';

/** Facility names of RFC 5424 table 1 as collectors write them, by number. */
export const facilities = [
  'kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', 'ntp', 'audit',
  'alert', 'clock', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7',
] as const; // biome-ignore format: a table

const transports = ['udp:', 'tcp:', 'tls:', 'relp:', 'relp+tls:', 'unix:'];

function addressProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !transports.includes(url.protocol))
    return 'write udp:// tcp:// tls:// relp:// or relp+tls:// with host:port, or unix:///path';
  if (url.username !== '' || url.password !== '') return 'must not hold user or password';
  if (url.search !== '' || url.hash !== '') return 'must not have a query';
  if (url.protocol === 'unix:') return url.pathname.length > 1 && url.host === '' ? undefined : 'write unix:///path';
  if (url.hostname === '') return 'names no host';
  if (url.pathname !== '' && url.pathname !== '/') return 'must not have a path';
  if (url.port === '' && url.protocol.startsWith('relp')) return 'names no port: RELP has no default one';
  return undefined;
}

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
    framing: z.enum(['octet-counting', 'newline']).default('octet-counting').describe('Framing on tcp and tls.'),
    rfc: z
      .union([z.literal(5424), z.literal(3164)])
      .optional()
      .describe('Message format; default 5424, on unix:///dev/log 3164.'),
    maxMessageBytes: size(480, 1024 ** 2)
      .optional()
      .describe('Longest message without the frame’s count; default 8000, on udp 1180.'),
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
    timeout: duration(100).prefault('30s').describe('Longest wait for a connection, a response or a stalled write.'),
    tls: tlsBlock.optional(),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine((options, context) => {
    if (options.tls !== undefined && !/^(tls|relp\+tls):/.test(options.address))
      context.addIssue({ code: 'custom', path: ['tls'], message: 'has no effect here: write tls:// or relp+tls://' });
  });
export type SyslogOptions = z.infer<typeof syslogOptions>;
