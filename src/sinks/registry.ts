import * as z from 'zod';
import type { SinkDefinition } from './definition.ts';
import { elasticsearch } from './elasticsearch/definition.ts';
import { exec } from './exec/definition.ts';
import { file } from './file/definition.ts';
import { http } from './http/definition.ts';
import { kafka } from './kafka/definition.ts';
import { otlp } from './otlp/definition.ts';
import { plugin } from './plugin/definition.ts';
import { s3 } from './s3/definition.ts';
import { sentinel } from './sentinel/definition.ts';
import { splunkHec } from './splunk-hec/definition.ts';
import { stdout } from './stdout.ts';
import { syslog } from './syslog/definition.ts';

/** The kinds of sinks. A new kind is one more line here. */
const definitions = [
  splunkHec,
  syslog,
  http,
  elasticsearch,
  otlp,
  sentinel,
  s3,
  kafka,
  exec,
  plugin,
  file,
  stdout,
] as const;

const [first, ...rest] = definitions.map(({ options }) => options);
if (first === undefined) throw new Error('no kind of sink is defined');

/** Schema of one entry of `sinks`. */
export const sinkEntry = z.discriminatedUnion('type', [first, ...rest]);

/** A valid entry of `sinks`. */
export type SinkConfig = z.infer<typeof sinkEntry>;

export const sinkDefinitions: readonly SinkDefinition[] = definitions;

/** The definition of the sinks of this type. @throws if no sink has it: a bug, since the configuration is valid */
export function definitionOf({ type }: { readonly type: string }): SinkDefinition {
  const found = sinkDefinitions.find((definition) => definition.type === type);
  if (found === undefined) throw new Error(`no sink has the type ${type}`);
  return found;
}
