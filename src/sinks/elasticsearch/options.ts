import * as z from 'zod';
import { runEvenIfInvalid, secretFile, secretValue } from '../../lib/options/values.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';
import { basicKeys, checkBasic, checkPlainHttp, httpKeys, httpUrl } from '../http-options.ts';

/** Configuration of an `elasticsearch` sink. */
export const elasticsearchOptions = entry('elasticsearch')
  .extend({
    format: z
      .enum(['ecs', 'json', 'ocsf'])
      .default('ecs')
      .describe('Shape of a document; a data stream needs ecs, which has @timestamp.'),
    url: httpUrl('URL of Elasticsearch or OpenSearch, for example https://es.example.com:9200; a path is kept.').refine(
      (text) => URL.parse(text)?.search === '',
      'must not have a query',
    ),
    index: z
      .string()
      .max(255)
      .regex(/^[^-_+.\s"*\\<>|,/?#:A-Z][^\s"*\\<>|,/?#:A-Z]*$/, 'is not the name of an index or data stream')
      .describe('Index or data stream, for example logs-qasphere.audit-default.'),
    apiKey: secretValue('API key, as Elasticsearch shows it once (base64); write ${ES_API_KEY}.').optional(),
    apiKeyFile: secretFile('File that holds the API key.').optional(),
    ...basicKeys,
    ...httpKeys,
    batch: batchBlock({ maxEvents: 1000, maxBytes: '4MiB' }),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine(checkPlainHttp(), runEvenIfInvalid)
  .superRefine(checkBasic, runEvenIfInvalid)
  .superRefine((options, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    const key = options.apiKey !== undefined ? 'apiKey' : 'apiKeyFile';
    if (options.apiKey !== undefined && options.apiKeyFile !== undefined)
      complain('apiKeyFile', 'set apiKey or apiKeyFile, not both');
    if (options[key] !== undefined && options.username !== undefined)
      complain('username', `set username or ${key}, not both`);
  }, runEvenIfInvalid)
  .transform(({ apiKey, apiKeyFile, password, passwordFile, ...rest }) => ({
    ...rest,
    apiKey: apiKey ?? apiKeyFile,
    password: password ?? passwordFile,
  }));

export type ElasticsearchOptions = z.infer<typeof elasticsearchOptions>;
