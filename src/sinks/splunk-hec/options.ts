import * as z from 'zod';
import { tlsBlock } from '../../lib/options/tls.ts';
import {
  duration,
  isLoopback,
  oneSecret,
  proxyUrl,
  runEvenIfInvalid,
  secretFile,
  secretValue,
} from '../../lib/options/values.ts';
import type { SecretSource } from '../../lib/secret.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';

/** The path of the data endpoint and its aliases, which may end a URL. */
const endpoint = /\/services\/collector(\/event)?(\/1\.0)?\/*$/;

const url = z
  .union([z.string(), z.array(z.string()).min(1, 'must name at least one collector').max(16)])
  .superRefine((given, context) => {
    const urls = [given].flat();
    for (const [index, text] of urls.entries()) {
      const first = urls.findIndex(
        (other) => URL.canParse(other) && URL.canParse(text) && baseUrl(other) === baseUrl(text),
      );
      const message = urlProblem(text) ?? (first !== -1 && first < index ? `is the same as url[${first}]` : undefined);
      if (message !== undefined)
        context.addIssue({ code: 'custom', path: Array.isArray(given) ? [index] : [], message });
    }
  })
  .transform((given) => [given].flat().map(baseUrl))
  .describe(
    'Base URL of the collector, for example https://splunk.example.com:8088, or a list: the next one is used when one fails. A path before /services/collector is kept.',
  );

function urlProblem(text: string): string | undefined {
  const parsed = URL.parse(text);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return 'write https://host:8088';
  if (parsed.username !== '' || parsed.password !== '') return 'must not hold user or password: use token or tokenFile';
  if (parsed.search !== '') return 'must not have a query: a token there would override the header';
  if (parsed.hash !== '') return 'must not have a fragment (#…)';
  if (baseUrl(text).includes('/services/collector')) return 'leave out /services/collector and what follows it';
  return undefined;
}

/** The origin, and the path before the endpoint's own, without a slash at the end. */
function baseUrl(text: string): string {
  const { origin, pathname } = new URL(text);
  return origin + pathname.replace(endpoint, '').replace(/\/+$/, '');
}

/** Configuration of a `splunk-hec` sink. */
export const splunkHecOptions = entry('splunk-hec')
  .extend({
    url,
    token: secretValue('HEC token; write ${SPLUNK_HEC_TOKEN}, not the value.').optional(),
    tokenFile: secretFile('File that holds the HEC token.').optional(),
    allowPlainHttp: z
      .boolean()
      .default(false)
      .describe('Allow http:// to another host, which sends the token in clear.'),
    index: z.string().min(1).optional().describe('Index; default: the token’s.'),
    host: z.string().min(1).optional().describe('Splunk host field; default: the tenant’s host name.'),
    source: z.string().min(1).default('qasphere-siem-forwarder').describe('Splunk source field.'),
    sourcetype: z.string().min(1).default('qasphere:audit').describe('Splunk sourcetype.'),
    fields: z
      .record(z.string().min(1), z.union([z.string(), z.array(z.string())]))
      .optional()
      .describe('Constant index-time fields, flat, for example env: prod.'),
    compression: z.enum(['gzip', 'none']).default('gzip').describe('Content encoding of requests.'),
    acknowledgement: z
      .union([z.boolean(), z.literal('auto')])
      .default('auto')
      .describe('Indexer acknowledgement: true (required), false, or auto: detected at start.'),
    ackTimeout: duration(1_000)
      .prefault('5m')
      .describe('A batch that is not acknowledged within this time is sent again, once.'),
    timeout: duration(100).prefault('30s').describe('Longest time for one request.'),
    batch: batchBlock({ maxEvents: 1000, maxBytes: '900KiB' }),
    tls: tlsBlock.optional(),
    proxy: proxyUrl.optional(),
  })
  .superRefine(oneSecret('token'), runEvenIfInvalid)
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine((options, context) => {
    const list: readonly unknown[] = Array.isArray(options.url) ? options.url : [options.url];
    for (const [index, one] of list.entries()) {
      const address = URL.parse(String(one));
      if (address?.protocol !== 'http:' || isLoopback(address.hostname) || options.allowPlainHttp === true) continue;
      context.addIssue({
        code: 'custom',
        path: list.length > 1 ? ['url', index] : ['url'],
        message: 'http:// would send the token in clear: use https://, or set allowPlainHttp: true',
      });
    }
  }, runEvenIfInvalid)
  .transform(({ token, tokenFile, url, ...rest }) => {
    const [first = '', ...others] = url;
    return { ...rest, url: first, otherUrls: others, token: (token ?? tokenFile) as SecretSource };
  });
export type SplunkHecOptions = z.infer<typeof splunkHecOptions>;
