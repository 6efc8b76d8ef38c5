import * as z from 'zod';
import { duration, runEvenIfInvalid, secretFile, secretValue } from '../../lib/options/values.ts';
import { batchKeys, checkRecords, entry } from '../common-options.ts';
import { checkPlainHttp, httpKeys, httpUrl } from '../http-options.ts';
import { placeholders } from './key.ts';

const { compression: _, ...connection } = httpKeys;
const day = 24 * 3_600_000;

/** Configuration of an `s3` sink. */
export const s3Options = entry('s3')
  .extend({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is not the name of a bucket')
      .describe('Bucket; it must exist.'),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'is not the name of a region')
      .default('us-east-1')
      .describe('Region of the bucket, for example eu-central-1.'),
    endpoint: httpUrl('Endpoint of an S3-compatible store; default: AWS in region.')
      .refine((text) => URL.parse(text)?.pathname === '/', 'must be an origin, without path')
      .optional(),
    pathStyle: z
      .boolean()
      .default(false)
      .describe('Write the bucket into the path instead of the host name, for MinIO and Ceph.'),
    prefix: z
      .string()
      .max(512)
      .regex(/^[\w!.*'()/{}-]*$/, 'may contain letters, digits and !-_.*’()/ and {…}')
      .refine((text) => !text.startsWith('/'), 'must not start with /')
      .refine((text) => !/(^|\/)\.{1,2}(\/|$)/.test(text), 'must not contain . or .. between slashes')
      .refine(
        (text) => [...text.matchAll(/\{[^}]*\}?|\}/g)].every(([found]) => placeholders.includes(found)),
        `may contain no other braces than ${placeholders.join(' ')}`,
      )
      .default('qasphere/{tenant}/{yyyy}/{mm}/{dd}/')
      .describe('Beginning of each key; the date is that of the batch’s first event, UTC.'),
    accessKeyId: z
      .string()
      .regex(/^[\w]{1,128}$/, 'is not an access key id')
      .optional()
      .describe('Access key id. Without it: the AWS environment variables, a web identity, the container or IMDSv2.'),
    secretAccessKey: secretValue('Secret access key; write ${AWS_SECRET_ACCESS_KEY}, not the value.').optional(),
    secretAccessKeyFile: secretFile('File that holds the secret access key.').optional(),
    sessionToken: secretValue('Session token of temporary credentials.').optional(),
    objectLock: z
      .strictObject({
        mode: z.enum(['COMPLIANCE', 'GOVERNANCE']).describe('Who may shorten the retention: nobody, or some.'),
        days: z.int().min(1).max(36_500).describe('Days for which an object can’t be deleted or overwritten.'),
      })
      .optional()
      .describe('Retention of each object; the bucket needs Object Lock.'),
    ...connection,
    batch: z
      .strictObject({
        maxEvents: batchKeys.maxEvents.default(10_000),
        maxBytes: batchKeys.maxBytes.prefault('8MiB'),
        maxAge: duration(0, day).prefault('60s').describe('How long a batch that is not full waits for more events.'),
      })
      .prefault({})
      .describe('Size of one object, uncompressed.'),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .superRefine(checkPlainHttp('endpoint'), runEvenIfInvalid)
  .superRefine((options, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    const given = ['secretAccessKey', 'secretAccessKeyFile'].filter(
      (key) => options[key as 'secretAccessKey'] !== undefined,
    );
    if (given.length === 2) complain('secretAccessKeyFile', 'set secretAccessKey or secretAccessKeyFile, not both');
    if (options.accessKeyId !== undefined && given.length === 0)
      complain('accessKeyId', 'requires secretAccessKey or secretAccessKeyFile');
    for (const key of [...given, ...(options.sessionToken === undefined ? [] : ['sessionToken'])])
      if (options.accessKeyId === undefined) complain(key, 'requires accessKeyId');
    if (typeof options.bucket === 'string' && options.bucket.includes('.') && options.pathStyle !== true)
      complain('bucket', 'contains a dot, which no certificate of a host name covers: set pathStyle: true');
  }, runEvenIfInvalid)
  .transform(({ secretAccessKey, secretAccessKeyFile, ...rest }) => ({
    ...rest,
    secretAccessKey: secretAccessKey ?? secretAccessKeyFile,
  }));

export type S3Options = z.infer<typeof s3Options>;
