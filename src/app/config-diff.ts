import type { Config } from '../config/schema.ts';
import { Secret, SecretSource } from '../lib/secret.ts';
import type { SinkConfig } from './build-pipeline.ts';

/**
 * Of two sinks of one identity the route need not restart: all that it is made of is the same, its secrets as they are
 * now and the texts of its TLS files too. `startAt` counts only where there is no checkpoint. Holds secrets: compare it,
 * and keep it nowhere.
 */
export function pipelineIdentity(sink: SinkConfig, { source, actions }: Config, hasBegun: boolean): string {
  const { settle, pageSize, startAt } = source;
  return revealed({ sink, settle, pageSize, actions, startAt: hasBegun ? undefined : startAt });
}

/** The same of the source of all routes; what only routes and the schedule heed is left out. */
export function sourceIdentity({ source, actions, sinks }: Config): string {
  const { schedule: _, startAt: __, settle: ___, ...heeded } = source;
  return revealed({ heeded, actions, shared: sinks.length > 1 });
}

/** Whether the key, and what is thought of it, are the same. */
export function keyIdentity({ source: { apiKey, authScheme, restrictedKey } }: Config): string {
  return revealed({ apiKey, authScheme, restrictedKey });
}

function revealed(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, shown: unknown) {
    // A secret has been asked for its JSON already.
    const given = this[key];
    // Where it is read again counts too.
    if (given instanceof SecretSource) return [given.path, given.current.reveal()];
    if (given instanceof Secret) return given.reveal();
    return typeof given === 'bigint' ? String(given) : shown;
  });
}
