import * as z from 'zod';
import { tlsBlock } from '../lib/options/tls.ts';
import { duration, isLoopback, proxyUrl, secretFile, secretValue } from '../lib/options/values.ts';
import type { SecretSource } from '../lib/secret.ts';

/** The URL of a destination. Credentials in it would be shown wherever the URL is. */
export const httpUrl = (description: string) =>
  z
    .string()
    .superRefine((text, context) => {
      const problem = urlProblem(text);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .describe(description);

function urlProblem(text: string): string | undefined {
  const parsed = URL.parse(text);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return 'write https://host/path';
  if (parsed.username !== '' || parsed.password !== '')
    return 'must not hold user or password: use the options for credentials';
  if (parsed.hash !== '') return 'must not have a fragment (#…)';
  return undefined;
}

/** The keys of every sink that sends HTTP requests. */
export const httpKeys = {
  allowPlainHttp: z
    .boolean()
    .default(false)
    .describe('Allow http:// to another host, which sends credentials and records in clear.'),
  compression: z.enum(['gzip', 'none']).default('gzip').describe('Content encoding of requests.'),
  timeout: duration(100).prefault('30s').describe('Longest time for one request.'),
  tls: tlsBlock.optional(),
  proxy: proxyUrl.optional(),
};

/** Refuses `http://` to another host in the key `url` (or `key`), unless it is allowed. */
export const checkPlainHttp =
  (key = 'url') =>
  (options: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx): void => {
    const address = URL.parse(String(options[key]));
    if (address?.protocol === 'http:' && !isLoopback(address.hostname) && options.allowPlainHttp !== true)
      context.addIssue({
        code: 'custom',
        path: [key],
        message: 'http:// would send credentials and records in clear: use https://, or set allowPlainHttp: true',
      });
  };

export function plainHttpWarnings(url: string): string[] {
  return url.startsWith('http:') && !isLoopback(new URL(url).hostname)
    ? ['http:// sends credentials and every record in clear']
    : [];
}

/** User and password of HTTP's Basic scheme. */
export const basicKeys = {
  username: z
    .string()
    .regex(/^[^:\p{Cc}]+$/u, 'must not be empty, nor contain a colon or control characters')
    .optional()
    .describe('User name; needs password or passwordFile.'),
  password: secretValue('Password; write ${PASSWORD}, not the value.').optional(),
  passwordFile: secretFile('File that holds the password.').optional(),
};

/** Requires a password for a user name, and the reverse. */
export function checkBasic(options: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const given = ['password', 'passwordFile'].filter((key) => options[key] !== undefined);
  const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if (given.length === 2) complain('passwordFile', 'set password or passwordFile, not both');
  if (options.username !== undefined && given.length === 0) complain('username', 'requires password or passwordFile');
  if (options.username === undefined && given[0] !== undefined) complain(given[0], 'requires username');
}

/** The name of a header (RFC 9110 section 5.6.2). */
export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Names that the program sets itself, or that belong to the connection (RFC 9110 section 7.6.1). */
const reserved =
  /^(content-(type|length|encoding)|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|proxy-.*|user-agent)$/i;

/** Further headers of each request. Their values may be keys, so they are secrets. */
export const headersBlock = z
  .record(z.string(), secretValue('Value; write ${KEY} if it is secret.'))
  .superRefine((headers, context) => {
    const seen = new Set<string>();
    for (const name of Object.keys(headers)) {
      const message = !headerName.test(name)
        ? 'is not the name of a header'
        : reserved.test(name)
          ? 'is set by the program'
          : seen.has(name.toLowerCase())
            ? 'is named twice'
            : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      seen.add(name.toLowerCase());
    }
  })
  .describe('Further headers of each request; their values are never shown.');

/** What a request carries to identify us: headers that are made from secrets. */
export interface Credentials {
  /** The headers' values by name. */
  headers(): Readonly<Record<string, string>>;
  /** Everything that must not be shown. */
  readonly secrets: readonly SecretSource[];
  /** They were refused with this status; returns whether there are new ones now. Default: the files are read again. */
  renew?(status: number, forced: AbortSignal): Promise<boolean>;
}

export const noCredentials: Credentials = { headers: () => ({}), secrets: [] };

/** One header from one secret: `Authorization: Bearer …`. */
export function secretHeader(name: string, secret: SecretSource, prefix = ''): Credentials {
  return { headers: () => ({ [name]: prefix + secret.current.reveal() }), secrets: [secret] };
}

/** HTTP's Basic scheme (RFC 7617). */
export function basicCredentials(username: string, password: SecretSource): Credentials {
  return {
    headers: () => ({
      authorization: `Basic ${Buffer.from(`${username}:${password.current.reveal()}`).toString('base64')}`,
    }),
    secrets: [password],
  };
}

export function allCredentials(...parts: readonly Credentials[]): Credentials {
  return {
    headers: () => Object.assign({}, ...parts.map((part) => part.headers())) as Record<string, string>,
    secrets: parts.flatMap(({ secrets }) => secrets),
  };
}

/** The values of `headersBlock` as credentials. */
export function headerCredentials(headers: Readonly<Record<string, SecretSource>> = {}): Credentials {
  return allCredentials(...Object.entries(headers).map(([name, value]) => secretHeader(name.toLowerCase(), value)));
}
