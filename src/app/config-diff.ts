import { hash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { bigintsAsText } from '../lib/json.ts';
import { Secret, SecretSource } from '../lib/secret.ts';
import type { SinkConfig } from '../sinks/registry.ts';

// Each identity is a text that is equal for two configurations if the running part need not be replaced. It covers the
// current values of secrets and the texts of TLS files, so it holds secrets: compare it and drop it.

/**
 * Identity of one sink's pipeline. `startAt` counts only while there is no checkpoint. A seal names the whole configuration,
 * so with `evidence` any change of it counts.
 */
export function pipelineIdentity(sink: SinkConfig, config: Config, hasBegun: boolean): string {
  const { source, actions, evidence } = config;
  const { settle, pageSize, startAt } = source;
  const sealed = evidence && [evidence, fingerprint(config)];
  return revealed({ sink, settle, pageSize, actions, sealed, startAt: hasBegun ? undefined : startAt });
}

/** SHA-256 over the configuration without secrets, hex. */
export function fingerprint(config: Config): string {
  return hash('sha256', JSON.stringify(config, bigintsAsText), 'hex');
}

/** Identity of the source; leaves out what only pipelines and the schedule use. */
export function sourceIdentity({ source, actions, sinks }: Config): string {
  const { schedule: _, startAt: __, settle: ___, ...used } = source;
  return revealed({ used, actions, shared: sinks.length > 1 });
}

/** Identity of the key and of what is required of it. */
export function keyIdentity({ source: { apiKey, authScheme, restrictedKey } }: Config): string {
  return revealed({ apiKey, authScheme, restrictedKey });
}

function revealed(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, json: unknown) {
    // JSON.stringify has replaced a secret by its masked form already: look at the original.
    const original = this[key];
    if (original instanceof SecretSource) return [original.path, original.current.reveal()];
    if (original instanceof Secret) return original.reveal();
    return typeof original === 'bigint' ? String(original) : json;
  });
}
