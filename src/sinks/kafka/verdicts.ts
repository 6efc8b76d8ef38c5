import { tlsRemedy } from '../../lib/http-answer.ts';
import { printable } from '../../lib/printable.ts';
import type { Reason, Verdict } from '../../lib/verdict.ts';

/** What is read of an error of the library; every member may be missing. */
interface KafkaError extends Error {
  readonly code?: unknown;
  /** Name of a Kafka error code (Apache Kafka, "Protocol", error codes). */
  readonly apiId?: unknown;
  readonly errors?: unknown;
}

const tooLarge = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'];
const refused = ['INVALID_RECORD', 'INVALID_TIMESTAMP'];
const unauthenticated = ['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE'];
const unauthorized = ['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'];
const unknownTopic = ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'];

/**
 * The verdict on a failed call, by the causes in its error. What the library or a broker says is quoted only by code: its
 * messages may contain whatever was sent. @throws an error that is not the library's: a bug
 */
export function errorVerdict(
  error: unknown,
  { topic, brokers }: { topic: string; brokers: readonly string[] },
): Verdict {
  const causes = causesOf(error);
  const codes = causes.flatMap(({ apiId, code }) => [apiId, code]).filter((code) => typeof code === 'string');
  if (!codes.some((code) => code.startsWith('PLT_KFK_')) && !codes.some((code) => /^E[A-Z]+$/.test(code))) throw error;
  const has = (names: readonly string[]) => codes.find((code) => names.includes(code));
  const found = has([...tooLarge, ...refused]);
  if (found !== undefined) {
    const reason = tooLarge.includes(found) ? 'too_large' : 'malformed';
    return { kind: 'reject', reason, detail: `the broker refuses a record (${found})` };
  }
  const stop = (reason: Reason, detail: string): Verdict => ({ kind: 'stop', reason, detail });
  const remedy = codes.map(tlsRemedy).find((text) => text !== undefined);
  if (remedy !== undefined) return stop('auth', `${remedy} (${brokers.join(', ')})`);
  const login = has(unauthenticated) ?? has(['PLT_KFK_AUTHENTICATION']);
  if (login !== undefined) return stop('auth', `the broker refuses the login: correct sasl (${login})`);
  const right = has(unauthorized);
  if (right !== undefined)
    return stop('auth', `no right to write to topic ${topic}: allow Write, Describe and IdempotentWrite (${right})`);
  const isUnknown =
    has(unknownTopic) ?? (causes.some(({ message }) => message.startsWith('Unknown topic')) || undefined);
  if (isUnknown !== undefined) return stop('address', `topic ${topic} does not exist: create it, or correct topic`);
  const last = codes.findLast((code) => !code.startsWith('PLT_KFK_')) ?? codes.at(-1) ?? 'unknown';
  const reason = codes.some((code) => /TIMED?_?OUT|PLT_KFK_TIMEOUT/.test(code))
    ? 'timeout'
    : codes.includes('PLT_KFK_NETWORK')
      ? 'network'
      : 'server';
  return { kind: 'retry', reason, detail: printable(`${brokers.join(', ')}: ${last}`, 200) };
}

/** The error and everything that caused it, outermost first. */
function causesOf(error: unknown): KafkaError[] {
  if (!(error instanceof Error)) return [];
  const { errors } = error as KafkaError;
  const below = [...(Array.isArray(errors) ? errors : []), ...(error.cause === undefined ? [] : [error.cause])];
  return [error as KafkaError, ...below.flatMap(causesOf)];
}
