import type { SinkDefinition } from '../definition.ts';
import { plainHttpWarnings } from '../http-options.ts';
import { type ElasticsearchOptions, elasticsearchOptions } from './options.ts';
import { ElasticsearchSink } from './sink.ts';

export const elasticsearch = {
  type: 'elasticsearch',
  options: elasticsearchOptions.meta({ title: 'Elasticsearch or OpenSearch' }),
  terms: { probe: 'index', address: 'url or index', credentials: 'apiKey or username, tls and proxy' },
  proof: () => 'created',
  destination: ({ url, index }) => `${url.replace(/\/+$/, '')}/${index}`,
  warnings: ({ url }) => plainHttpWarnings(url),
  open: (options, deps) => new ElasticsearchSink(options, deps),
} satisfies SinkDefinition<ElasticsearchOptions>;
