import { z } from 'zod';
import { duration, together } from '../options/values.ts';
import { splunkHecOptions } from '../sink/splunk-hec/options.ts';
import { stdoutOptions } from '../sink/stdout.ts';
import { syslogOptions } from '../sink/syslog/options.ts';
import { sourceOptions } from './source.ts';

const sink = z.discriminatedUnion('type', [
  splunkHecOptions.meta({ title: 'Splunk HTTP Event Collector' }),
  syslogOptions.meta({ title: 'Syslog or RELP receiver' }),
  stdoutOptions.meta({ title: 'Standard output' }),
]);

/** Names are unique, and only one sink may write to standard output: records of two would mix. */
function apart(sinks: unknown, context: z.core.$RefinementCtx): void {
  if (!Array.isArray(sinks)) return;
  const named = new Map<unknown, number>();
  let stdout: number | undefined;
  for (const [index, entry] of sinks.entries()) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { name, type } = entry as { name?: unknown; type?: unknown };
    const first = named.get(name);
    if (first !== undefined)
      context.addIssue({ code: 'custom', path: [index, 'name'], message: `is also the name of sinks[${first}]` });
    else if (name !== undefined) named.set(name, index);
    if (type === 'stdout' && stdout !== undefined)
      context.addIssue({
        code: 'custom',
        path: [index, 'type'],
        message: `sinks[${stdout}] writes to standard output already: records would mix`,
      });
    if (type === 'stdout') stdout ??= index;
  }
}

/** `HOST:PORT` taken apart; an IPv6 address stands in brackets. */
function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

const listen = z.string().transform((text, context) => {
  const parsed = parseListen(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'write HOST:PORT, for example 127.0.0.1:9464 or [::1]:9464' });
  return z.NEVER;
});

/** The whole configuration: what stands in the file on the input side, what the program uses on the output side. */
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
            'Where checkpoints and dead letters live; $STATE_DIRECTORY where that is set. A local file system.',
          ),
      })
      .prefault({})
      .describe('What must outlive the process.'),
    sinks: z
      .array(sink)
      .min(1)
      .max(64)
      .superRefine(apart, together)
      .describe('Where the records go. Each sink has its own cursor, batch, retry and pace.'),
    telemetry: z
      .strictObject({
        listen: listen
          .optional()
          .describe(
            'HOST:PORT that answers /metrics, /livez and /readyz, for example 127.0.0.1:9464; off when absent.',
          ),
      })
      .prefault({})
      .describe('What the program tells of itself.'),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
          .default('info')
          .describe('Least severe level to log; LOG_LEVEL overrides it.'),
      })
      .prefault({})
      .describe('The log, on stderr.'),
    shutdownTimeout: duration(0)
      .prefault('8s')
      .describe('How long a stop may take to deliver and checkpoint what is in hand.'),
  })
  .meta({ title: 'Configuration of qasphere-siem-forwarder' });

/** A valid configuration: durations in milliseconds, sizes in bytes, secrets that do not print. */
export type Config = z.infer<typeof configSchema>;
