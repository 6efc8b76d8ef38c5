import * as z from 'zod';
import { duration, runEvenIfInvalid } from '../lib/options/values.ts';
import { sinkDefinitions, sinkEntry } from '../sinks/registry.ts';
import { actionsFile } from './actions.ts';
import { evidenceOptions, requireSinks } from './evidence.ts';
import { sourceOptions } from './source.ts';
import { telemetryOptions } from './telemetry.ts';

/** Names are unique, and no two sinks write to the same stream or file: their records would mix. */
function requireDistinct(sinks: unknown, context: z.core.$RefinementCtx): void {
  if (!Array.isArray(sinks)) return;
  const named = new Map<unknown, number>();
  const used = new Map<string, number>();
  for (const [index, entry] of sinks.entries()) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { name, type } = entry as { name?: unknown; type?: unknown };
    const first = named.get(name);
    if (first !== undefined)
      context.addIssue({ code: 'custom', path: [index, 'name'], message: `is also the name of sinks[${first}]` });
    else if (name !== undefined) named.set(name, index);
    const exclusive = sinkDefinitions.find((definition) => definition.type === type)?.exclusive?.(entry);
    if (exclusive === undefined) continue;
    const owner = used.get(exclusive);
    if (owner === undefined) used.set(exclusive, index);
    else {
      const message = `sinks[${owner}] already writes to ${exclusive}: records would mix`;
      context.addIssue({ code: 'custom', path: [index, 'type'], message });
    }
  }
}

/** The whole configuration: the input is the file, the output is what the program uses. */
export const configSchema = z
  .strictObject({
    source: sourceOptions,
    state: z
      .strictObject({
        directory: z
          .string()
          .regex(/^[^\0]+$/, 'must be a path')
          .default('./state')
          .describe(
            'Directory for checkpoints and dead letters, on a local file system. Default: $STATE_DIRECTORY, else ./state.',
          ),
      })
      .prefault({})
      .describe('State that outlives the process.'),
    sinks: z
      .array(sinkEntry)
      .min(1)
      .max(64)
      .superRefine(requireDistinct, runEvenIfInvalid)
      .describe('Destinations. Each sink has its own cursor, batches, retries and pace.'),
    evidence: evidenceOptions,
    telemetry: telemetryOptions,
    plugins: z
      .strictObject({
        directory: z
          .union([z.string().min(1), z.array(z.string().min(1)).max(16)])
          .default(['/usr/lib/qasphere-siem-forwarder/plugins', '/plugins'])
          .describe(
            'Where plug-ins are looked for that are not beside the configuration file; a list is searched in order.',
          ),
      })
      .prefault({})
      .describe('Plug-ins: sinks by others.'),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
          .default('info')
          .describe('Lowest level that is logged; LOG_LEVEL overrides it.'),
      })
      .prefault({})
      .describe('The log, on stderr.'),
    shutdownTimeout: duration(0)
      .prefault('8s')
      .describe('How long a stop may take to finish deliveries in progress and save checkpoints.'),
    actionsFile: actionsFile
      .optional()
      .describe(
        'File with rows for the table of actions, tried before the built-in ones; config/actions.yaml is an example.',
      ),
  })
  .superRefine(requireSinks, runEvenIfInvalid)
  .transform(({ actionsFile: actions = [], ...rest }) => ({ ...rest, actions }))
  .meta({ title: 'Configuration of qasphere-siem-forwarder' });

/** A valid configuration: durations in milliseconds, sizes in bytes, secrets that do not print. */
export type Config = z.infer<typeof configSchema>;
