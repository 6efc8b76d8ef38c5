import * as z from 'zod';
import { tlsBlock } from '../../lib/options/tls.ts';
import { duration, runEvenIfInvalid, secretFile, secretValue } from '../../lib/options/values.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';

const sasl = z
  .strictObject({
    mechanism: z
      .enum(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'])
      .describe('SASL mechanism; plain and oauthbearer send the secret itself, so they need tls.'),
    username: z.string().min(1).optional().describe('User name, for plain and scram.'),
    password: secretValue('Password; write ${KAFKA_PASSWORD}, not the value.').optional(),
    passwordFile: secretFile('File that holds the password.').optional(),
    token: secretValue('Bearer token, for oauthbearer.').optional(),
    tokenFile: secretFile('File that holds the bearer token.').optional(),
  })
  .superRefine((options, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    const isBearer = options.mechanism === 'oauthbearer';
    const [wanted, other] = isBearer ? (['token', 'password'] as const) : (['password', 'token'] as const);
    const given = [wanted, `${wanted}File` as const].filter((key) => options[key] !== undefined);
    if (given.length === 0)
      complain(wanted, `requires ${wanted} or ${wanted}File with mechanism: ${options.mechanism}`);
    if (given.length === 2) complain(`${wanted}File`, `set ${wanted} or ${wanted}File, not both`);
    for (const key of [other, `${other}File` as const])
      if (options[key] !== undefined) complain(key, `has no effect with mechanism: ${options.mechanism}`);
    if (!isBearer && options.username === undefined)
      complain('username', `is required with mechanism: ${options.mechanism}`);
  }, runEvenIfInvalid)
  .transform(({ password, passwordFile, token, tokenFile, ...rest }) => ({
    ...rest,
    secret: password ?? passwordFile ?? token ?? tokenFile,
  }))
  .describe('Authentication; none when absent.');

/** Configuration of a `kafka` sink. */
export const kafkaOptions = entry('kafka')
  .extend({
    brokers: z
      .array(z.string().regex(/^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$/, 'write host:port'))
      .min(1, 'must name at least one broker')
      .max(32)
      .describe('Brokers to ask for the others, host:port.'),
    topic: z
      .string()
      .regex(/^(?!\.{1,2}$)[\w.-]{1,249}$/, 'is not the name of a topic')
      .describe('Topic; it must exist.'),
    key: z
      .enum(['tenant', 'user', 'none'])
      .default('tenant')
      .describe('Key of a record, which decides its partition; events stay in order within a partition.'),
    sasl: sasl.optional(),
    compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('gzip').describe('Compression of batches.'),
    timeout: duration(1_000).prefault('30s').describe('Longest wait for the acknowledgement of one batch.'),
    tls: tlsBlock.optional(),
    batch: batchBlock({ maxEvents: 1000, maxBytes: '900KiB' }),
  })
  .superRefine(checkRecords, runEvenIfInvalid);

export type KafkaOptions = z.infer<typeof kafkaOptions>;
