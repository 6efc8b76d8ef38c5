import type { SinkDefinition } from '../definition.ts';
import { plainHttpWarnings } from '../http-options.ts';
import { type S3Options, s3Options } from './options.ts';
import { S3Sink } from './sink.ts';

export const s3 = {
  type: 's3',
  options: s3Options.meta({ title: 'Amazon S3, or a compatible object store' }),
  terms: {
    probe: 'bucket',
    address: 'bucket, region, endpoint or pathStyle',
    credentials: 'accessKeyId and secretAccessKey, or the role of this machine',
  },
  proof: () => 'object',
  destination: ({ bucket, endpoint, region }) => `${endpoint ?? region} ${bucket}`,
  warnings: ({ endpoint }) => (endpoint === undefined ? [] : plainHttpWarnings(endpoint)),
  open: (options, deps) => new S3Sink(options, deps),
} satisfies SinkDefinition<S3Options>;
