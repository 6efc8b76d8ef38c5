import { z } from 'zod';
import { duration } from '../options/values.ts';

export const sinkName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'write 1 to 63 of a-z 0-9 - _, starting with a letter or digit');

/** What every sink's entry has; a sink extends it. */
export const entry = <const T extends string>(type: T) =>
  z.strictObject({
    name: sinkName.default(type).describe('Unique name; names the checkpoint file, so keep it.'),
    type: z.literal(type),
    format: z.enum(['json', 'cef', 'leef', 'ecs', 'ocsf']).default('json').describe('Shape of a record.'),
    envelope: z.boolean().default(false).describe('With format json: wrap the event as { tenant, receivedAt, event }.'),
    filter: z
      .strictObject({
        include: z.array(z.string().min(1)).optional().describe('Globs on the action; only these are delivered.'),
        exclude: z.array(z.string().min(1)).optional().describe('Globs on the action; these are not delivered.'),
      })
      .optional()
      .describe('Which actions this sink gets. What is filtered still moves the checkpoint.'),
    heartbeat: duration(1_000)
      .optional()
      .describe('Send records of the forwarder’s own too, one at least as often as this; off when absent.'),
    redact: z.array(z.string().min(1)).optional().describe('Paths whose values become "[redacted]".'),
  });

export type CommonOptions = z.infer<ReturnType<typeof entry>>;
