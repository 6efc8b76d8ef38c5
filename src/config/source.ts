import { validateDetailed } from 'node-cron';
import * as z from 'zod';
import { tlsBlock } from '../lib/options/tls.ts';
import {
  duration,
  isLoopback,
  oneSecret,
  proxyUrl,
  runEvenIfInvalid,
  secretFile,
  secretValue,
} from '../lib/options/values.ts';
import type { SecretSource } from '../lib/secret.ts';
import { startAt } from './start-at.ts';

function urlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return 'write https://COMPANY.REGION.qasphere.com';
  if (url.username !== '' || url.password !== '')
    return 'must not contain a user or password: use apiKey or apiKeyFile';
  if (url.search !== '' || text.includes('?')) return 'must not have a query';
  if (url.pathname !== '/' || text.includes('#')) return 'must not have a path: only scheme, host and port';
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'http:// would send the key unencrypted: use https://';
  return undefined;
}

/** Which fields of a schedule are wrong; does not quote it. */
function scheduleProblem(text: string): string | undefined {
  const { valid, errors } = validateDetailed(text);
  if (valid) return undefined;
  const fields = new Set(errors.map(({ field }) => field).filter((field) => field !== 'expression'));
  return fields.size === 0
    ? 'write five cron fields, or six with seconds first'
    : `is not a valid schedule: correct the field ${[...fields].join(', ')}`;
}

const text = (problem: (text: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const message = problem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/** The `source` block. `url` parses to its origin, `apiKey` and `apiKeyFile` to one `apiKey`. */
export const sourceOptions = z
  .strictObject({
    url: text(urlProblem)
      .transform((value) => new URL(value).origin)
      .describe('Address of the tenant, for example https://acme.eu1.qasphere.com; http:// only for loopback.'),
    apiKey: secretValue('API key; write ${QASPHERE_API_KEY}, not the value.').optional(),
    apiKeyFile: secretFile('File that holds the API key; read again when the key is refused and at SIGHUP.').optional(),
    authScheme: z.enum(['Bearer', 'ApiKey']).default('Bearer').describe('Scheme of the Authorization header.'),
    schedule: text(scheduleProblem)
      .default('*/15 * * * * *')
      .describe('When to poll: cron, five fields, or six with seconds first. Polls never overlap.'),
    pageSize: z.int().min(1).max(1000).default(1000).describe('Events per request.'),
    requestsPerSecond: z
      .number()
      .gt(0)
      .max(20)
      .default(10)
      .describe('Most requests per second, of all sinks together; the API allows 20.'),
    startAt: startAt
      .prefault('beginning')
      .describe('Where a sink without a checkpoint starts: beginning, now, an event id or an ISO timestamp.'),
    settle: duration(0)
      .prefault('60s')
      .describe('How long an event may take to become visible behind newer ones; 0s: off.'),
    onKeyRejected: z
      .enum(['exit', 'wait'])
      .default('exit')
      .describe(
        'What to do when the API rejects the key: exit with code 77, or keep running, not ready, and retry every 5 minutes. A 401 counts as a rejection only if a second request 5 s later gets it too; with apiKeyFile the file is read again for up to 30 s first.',
      ),
    restrictedKey: z
      .enum(['warn', 'require', 'off'])
      .default('warn')
      .describe(
        'What to do if the key can do more than read the audit log: warn, refuse to deliver, or do not check. With require nothing is delivered before it is known.',
      ),
    timeout: duration(100).prefault('30s').describe('Timeout of one request, from connecting to the last byte.'),
    tls: tlsBlock.optional(),
    proxy: proxyUrl.optional(),
  })
  .superRefine(oneSecret('apiKey'), runEvenIfInvalid)
  .transform(({ apiKey, apiKeyFile, ...rest }) => ({ ...rest, apiKey: (apiKey ?? apiKeyFile) as SecretSource }))
  .describe('The QA Sphere tenant whose audit log is read.');
