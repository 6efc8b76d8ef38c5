import { createHash } from 'node:crypto';
import type { Batch } from '../../event/event.ts';

export const placeholders: readonly string[] = ['{tenant}', '{yyyy}', '{mm}', '{dd}'];

/** The prefix with the tenant's host name and the UTC date of `atMs` (milliseconds since the epoch). */
export function prefixOf(template: string, tenant: string, atMs: number): string {
  const [yyyy = '', mm = '', dd = ''] = new Date(atMs).toISOString().slice(0, 10).split('-');
  const values: Readonly<Record<string, string>> = { '{tenant}': tenant, '{yyyy}': yyyy, '{mm}': mm, '{dd}': dd };
  return template.replace(/\{\w+\}/g, (name) => values[name] ?? name);
}

/** `<prefix><first id>-<last id>-<16 hex of the SHA-256 of the uncompressed lines>.ndjson.gz`. */
export function objectKey(template: string, tenant: string, { records }: Batch, lines: Buffer): string {
  const [first, last] = [records[0]?.event, records.at(-1)?.event];
  if (first === undefined || last === undefined) throw new Error('a batch is never empty');
  const digest = createHash('sha256').update(lines).digest('hex').slice(0, 16);
  const prefix = prefixOf(template, tenant, first.createdAtMs ?? first.receivedAtMs);
  return `${prefix}${first.id}-${last.id}-${digest}.ndjson.gz`;
}
