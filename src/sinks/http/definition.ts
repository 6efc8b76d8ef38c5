import type { SinkDefinition } from '../definition.ts';
import { HttpBatchSink } from '../http-batch-sink.ts';
import { plainHttpWarnings } from '../http-options.ts';
import { HttpSender } from '../http-sender.ts';
import { type HttpSinkOptions, httpOptions } from './options.ts';
import { HttpEndpoint, shownUrl } from './sink.ts';

export const http = {
  type: 'http',
  options: httpOptions.meta({ title: 'HTTP endpoint' }),
  terms: { probe: 'endpoint', address: 'url', credentials: 'headers, bearerToken or username, tls and proxy' },
  proof: () => 'http',
  destination: (options) => shownUrl(options),
  warnings: ({ url }) => plainHttpWarnings(url),
  open: (options, deps) => new HttpBatchSink(new HttpEndpoint(options, deps), new HttpSender(options, deps)),
} satisfies SinkDefinition<HttpSinkOptions>;
