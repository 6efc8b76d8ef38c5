import type { Producer, SASLOptions } from '@platformatic/kafka';
import { tlsMaterial } from '../../lib/tls.ts';
import type { KafkaOptions } from './options.ts';

export type KafkaProducer = Producer<Buffer, Buffer, Buffer, Buffer>;

type Library = typeof import('@platformatic/kafka');

const mechanisms = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
  oauthbearer: 'OAUTHBEARER',
} as const;
/** A request is repeated this often by the library, with the same sequence number: for hours. */
const maxRepetitions = 2_000;
const repetitionPauseMs = 5_000;
/** Longest wait for a connection, milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** The library, which only this sink needs; undefined if it is not installed. */
export async function loadLibrary(): Promise<Library | undefined> {
  try {
    return await import('@platformatic/kafka');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    return undefined;
  }
}

/** Connects when it is first used. @throws the error of the file system or OpenSSL for a file of the tls block */
export function openProducer(library: Library, options: KafkaOptions): KafkaProducer {
  const { brokers, compression, sasl, tls, timeout } = options;
  return new library.Producer<Buffer, Buffer, Buffer, Buffer>({
    clientId: 'qasphere-siem-forwarder',
    bootstrapBrokers: [...brokers],
    idempotent: true,
    acks: library.ProduceAcks.ALL,
    compression,
    autocreateTopics: false,
    retries: maxRepetitions,
    retryDelay: (_, __, attempt) => Math.min(repetitionPauseMs, 100 * 2 ** Math.min(attempt, 10)),
    // The broker's limit for its replicas is below ours for its answer.
    timeout: Math.max(1_000, timeout - 1_000),
    connectTimeout: Math.min(timeout, CONNECT_TIMEOUT_MS),
    requestTimeout: timeout,
    maxInflights: 1,
    ...(tls !== undefined && { tls: tlsMaterial(tls)?.secure ?? {}, tlsServerName: tls.servername ?? true }),
    ...(sasl?.secret !== undefined && { sasl: saslOf(sasl, sasl.secret.current.reveal()) }),
  });
}

function saslOf({ mechanism, username }: NonNullable<KafkaOptions['sasl']>, secret: string): SASLOptions {
  const name = mechanisms[mechanism];
  return mechanism === 'oauthbearer'
    ? { mechanism: name, token: secret }
    : { mechanism: name, username: username ?? '', password: secret };
}
