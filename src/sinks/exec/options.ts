import * as z from 'zod';
import { duration, runEvenIfInvalid, secretValue } from '../../lib/options/values.ts';
import { checkRecords, entry } from '../common-options.ts';

/** Configuration of an `exec` sink. */
export const execOptions = entry('exec')
  .extend({
    command: z
      .array(z.string().regex(/^[^\0]*$/, 'must not contain NUL'))
      .min(1, 'must name a program')
      .refine(([program]) => program !== '', 'must name a program')
      .describe('Program and arguments; no shell is involved.'),
    options: z.record(z.string(), z.unknown()).default({}).describe('Handed to the program in the hello message.'),
    environment: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), secretValue('Value; never shown.'))
      .default({})
      .describe('Environment of the program, beside PATH, HOME, LANG and TZ.'),
    confirmWithin: duration(100).prefault('60s').describe('Longest wait for ready, and for the verdict on one batch.'),
  })
  .superRefine(checkRecords, runEvenIfInvalid);

export type ExecOptions = z.infer<typeof execOptions>;
