import * as z from 'zod';
import { runEvenIfInvalid } from '../../lib/options/values.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';
import { checkPlainHttp, headersBlock, httpKeys, httpUrl } from '../http-options.ts';

/** OpenTelemetry specification, "OTLP/HTTP Request": the default path of logs. */
const defaultPath = '/v1/logs';

/** Configuration of an `otlp` sink. */
export const otlpOptions = entry('otlp')
  .extend({
    url: httpUrl(
      'URL of an OTLP/HTTP receiver, for example https://otel.example.com:4318; without a path, /v1/logs.',
    ).transform((text) => {
      const url = URL.parse(text);
      if (url?.pathname === '/') url.pathname = defaultPath;
      return url?.href ?? text;
    }),
    headers: headersBlock.optional(),
    encoding: z.enum(['protobuf', 'json']).default('protobuf').describe('Encoding of requests.'),
    ...httpKeys,
    batch: batchBlock({ maxEvents: 1000, maxBytes: '1MiB' }),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine(checkPlainHttp(), runEvenIfInvalid);

export type OtlpOptions = z.infer<typeof otlpOptions>;
