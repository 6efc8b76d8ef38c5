import type { SinkDefinition } from '../definition.ts';
import { type KafkaOptions, kafkaOptions } from './options.ts';
import { KafkaSink } from './sink.ts';

export const kafka = {
  type: 'kafka',
  options: kafkaOptions.meta({ title: 'Apache Kafka' }),
  terms: { probe: 'topic', address: 'brokers or topic', credentials: 'sasl and tls' },
  proof: () => 'kafka-all',
  destination: ({ brokers, topic }) => `${brokers.join(',')} ${topic}`,
  warnings: ({ sasl, tls }) =>
    tls === undefined && (sasl?.mechanism === 'plain' || sasl?.mechanism === 'oauthbearer')
      ? [`${sasl.mechanism} without tls sends the secret in clear`]
      : [],
  open: (options, deps) => new KafkaSink(options, deps),
} satisfies SinkDefinition<KafkaOptions>;
