import type { SinkDefinition } from '../definition.ts';
import { HttpBatchSink } from '../http-batch-sink.ts';
import { plainHttpWarnings } from '../http-options.ts';
import { HttpSender, withoutQuery } from '../http-sender.ts';
import { type OtlpOptions, otlpOptions } from './options.ts';
import { OtlpReceiver } from './sink.ts';

export const otlp = {
  type: 'otlp',
  options: otlpOptions.meta({ title: 'OpenTelemetry Collector, or another OTLP/HTTP receiver of logs' }),
  terms: { probe: 'receiver', address: 'url', credentials: 'headers, tls and proxy' },
  proof: () => 'otlp',
  destination: ({ url }) => withoutQuery(url),
  warnings: ({ url }) => plainHttpWarnings(url),
  open: (options, deps) => new HttpBatchSink(new OtlpReceiver(options, deps), new HttpSender(options, deps)),
} satisfies SinkDefinition<OtlpOptions>;
