import * as z from 'zod';
import { formatNames } from '../format/formats.ts';
import { pathProblem } from '../format/path.ts';
import { duration, oneSecret, secretFile, secretValue, size } from '../lib/options/values.ts';

export const sinkName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'write 1 to 63 of a-z 0-9 - _, starting with a letter or digit');

const path = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const message = text === '' ? undefined : pathProblem(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/** The keys that the entry of every sink has. A sink extends them, and adds `checkRecords`. */
export const entry = <const T extends string>(type: T) =>
  z.strictObject({
    name: sinkName.default(type).describe('Unique name; names the checkpoint file, so keep it.'),
    type: z.literal(type),
    format: z.enum(formatNames).default('json').describe('Shape of a record.'),
    envelope: z.boolean().default(false).describe('With format json: wrap the event as { tenant, receivedAt, event }.'),
    filter: z
      .strictObject({
        include: z
          .array(z.string().min(1))
          .min(1, 'would deliver nothing: name what is delivered, or remove the key')
          .optional()
          .describe('Globs on the action; only these are delivered.'),
        exclude: z.array(z.string().min(1)).optional().describe('Globs on the action; these are not delivered.'),
      })
      .optional()
      .describe('Which actions this sink gets. The checkpoint moves past filtered events too.'),
    heartbeat: duration(1_000)
      .optional()
      .describe('Also send status records of the forwarder, at least one in each such interval; off when absent.'),
    redact: z.array(path).optional().describe('Paths whose values become "[redacted]".'),
    hash: z
      .array(path)
      .optional()
      .describe('Paths whose values become a keyed hash (HMAC-SHA-256): equal values get equal hashes.'),
    hashKey: secretValue('Key of the hash; write ${QASPHERE_HASH_KEY}, not the value.').optional(),
    hashKeyFile: secretFile('File that holds the key of the hash; read again at SIGHUP.').optional(),
  });

/** The rules between the keys of `entry`. */
export function checkRecords(options: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const { format, envelope, hash } = options;
  if (envelope === true && typeof format === 'string' && format !== 'json')
    context.addIssue({ code: 'custom', path: ['envelope'], message: 'requires format: json' });
  const keys = ['hashKey', 'hashKeyFile'].filter((key) => options[key] !== undefined);
  if (hash !== undefined) oneSecret('hashKey')(options, context);
  else
    for (const key of keys)
      context.addIssue({ code: 'custom', path: [key], message: 'has no effect without hash: name the paths there' });
}

/** The keys of the block `batch`, without defaults. */
export const batchKeys = {
  maxEvents: z.int().min(1).max(10_000).describe('Most events in one batch.'),
  maxBytes: size(1024, 64 * 1024 ** 2).describe('Most bytes in one batch, uncompressed.'),
};

/** The block `batch`, with a sink's own defaults. */
export const batchBlock = (defaults: { readonly maxEvents: number; readonly maxBytes: string }) =>
  z
    .strictObject({
      maxEvents: batchKeys.maxEvents.default(defaults.maxEvents),
      maxBytes: batchKeys.maxBytes.prefault(defaults.maxBytes),
    })
    .prefault({})
    .describe('Size of one batch.');

export type CommonOptions = z.infer<ReturnType<typeof entry>>;
