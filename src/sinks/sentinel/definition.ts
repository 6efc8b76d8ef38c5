import type { SinkDefinition } from '../definition.ts';
import { HttpBatchSink } from '../http-batch-sink.ts';
import { plainHttpWarnings } from '../http-options.ts';
import { HttpSender } from '../http-sender.ts';
import { type SentinelOptions, sentinelOptions } from './options.ts';
import { DataCollectionRule } from './sink.ts';
import { EntraToken } from './token.ts';

export const sentinel = {
  type: 'sentinel',
  options: sentinelOptions.meta({ title: 'Microsoft Sentinel, by the Logs Ingestion API' }),
  terms: {
    probe: 'rule',
    address: 'endpoint, ruleId or stream',
    credentials:
      'tenantId, clientId and clientSecret; the identity needs the role Monitoring Metrics Publisher on the rule',
  },
  proof: () => 'http',
  destination: ({ endpoint, ruleId, stream }) => `${new URL(endpoint).origin}/${ruleId}/${stream}`,
  warnings: ({ endpoint }) => plainHttpWarnings(endpoint),
  open: (options, deps) => {
    const token = new EntraToken(options, deps);
    return new HttpBatchSink(new DataCollectionRule(options, token), new HttpSender(options, deps), token);
  },
} satisfies SinkDefinition<SentinelOptions>;
