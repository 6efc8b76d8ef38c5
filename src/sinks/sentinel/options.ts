import * as z from 'zod';
import { oneSecret, runEvenIfInvalid, secretFile, secretValue } from '../../lib/options/values.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';
import { checkPlainHttp, httpKeys, httpUrl } from '../http-options.ts';

/** Azure Monitor, "Logs Ingestion API", limits: at most 1 MB a request. */
const MAX_REQUEST_BYTES = 1024 ** 2;

/** Configuration of a `sentinel` sink. */
export const sentinelOptions = entry('sentinel')
  .extend({
    format: z.literal('json').default('json').describe('Shape of a record.'),
    endpoint: httpUrl('Logs ingestion endpoint of the data collection rule or endpoint.').refine((text) => {
      const url = URL.parse(text);
      return url?.pathname === '/' && url.search === '';
    }, 'must be an origin, without path and query'),
    ruleId: z
      .string()
      .regex(/^dcr-[0-9a-f]{16,64}$/i, 'must be the immutable id of the rule, dcr-…')
      .describe('Immutable id of the data collection rule: dcr-….'),
    stream: z
      .string()
      .regex(/^[A-Za-z][\w-]{0,127}$/, 'must be the name of a stream, for example Custom-QASphereAudit')
      .describe('Stream of the rule, for example Custom-QASphereAudit.'),
    tenantId: z
      .string()
      .regex(/^[\w.-]+$/, 'must be the id or a domain of the Entra tenant')
      .optional()
      .describe('Entra tenant; with clientId and clientSecret. Without it: the managed identity of this machine.'),
    clientId: z
      .string()
      .regex(/^[\w-]+$/, 'must be the id of an application or identity')
      .optional()
      .describe('Application (client) id; without tenantId: of a user-assigned managed identity.'),
    clientSecret: secretValue('Client secret; write ${AZURE_CLIENT_SECRET}, not the value.').optional(),
    clientSecretFile: secretFile('File that holds the client secret.').optional(),
    authority: httpUrl('Where tokens are requested; sovereign clouds have their own.').default(
      'https://login.microsoftonline.com',
    ),
    ...httpKeys,
    batch: batchBlock({ maxEvents: 1000, maxBytes: '1MiB' }),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine(checkPlainHttp('endpoint'), runEvenIfInvalid)
  .superRefine(checkPlainHttp('authority'), runEvenIfInvalid)
  .superRefine((options, context) => {
    const complain = (path: readonly string[], message: string) =>
      context.addIssue({ code: 'custom', path: [...path], message });
    if (Number(options.batch?.maxBytes) > MAX_REQUEST_BYTES)
      complain(['batch', 'maxBytes'], 'must be at most 1MiB, the limit of the Logs Ingestion API');
    if (options.tenantId !== undefined) {
      if (options.clientId === undefined) complain(['clientId'], 'is required with tenantId');
      oneSecret('clientSecret')(options, context);
    } else
      for (const key of ['clientSecret', 'clientSecretFile'])
        if (options[key as keyof typeof options] !== undefined) complain([key], 'requires tenantId and clientId');
  }, runEvenIfInvalid)
  .transform(({ clientSecret, clientSecretFile, ...rest }) => ({
    ...rest,
    clientSecret: clientSecret ?? clientSecretFile,
  }));

export type SentinelOptions = z.infer<typeof sentinelOptions>;
