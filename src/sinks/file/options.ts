import * as z from 'zod';
import { runEvenIfInvalid, size } from '../../lib/options/values.ts';
import { batchBlock, checkRecords, entry } from '../common-options.ts';

/** Configuration of a `file` sink. */
export const fileOptions = entry('file')
  .extend({
    path: z
      .string()
      .regex(/^[^\0]*[^\0/]$/, 'must be the path of a file')
      .describe('File to append to; its directory must exist. A new file gets the mode 0640.'),
    rotate: z
      .strictObject({
        maxBytes: size(1024 ** 2, 1024 ** 4)
          .prefault('100MiB')
          .describe('Size at which the file is renamed to PATH.1 and a new one is started.'),
        keep: z.int().min(1).max(1000).default(10).describe('How many renamed files are kept; older ones are deleted.'),
        compress: z.boolean().default(true).describe('Compress renamed files with gzip: PATH.1.gz.'),
      })
      .optional()
      .describe('Rotation by the forwarder; leave it out if logrotate does it.'),
    batch: batchBlock({ maxEvents: 1000, maxBytes: '1MiB' }),
  })
  .superRefine(checkRecords, runEvenIfInvalid);

export type FileOptions = z.infer<typeof fileOptions>;
