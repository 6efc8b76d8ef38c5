import { createHash } from 'node:crypto';
import type { Batch } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import type { HttpAnswer } from '../../lib/http.ts';
import { printable } from '../../lib/printable.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';

/** What the verdict needs of an answer; it is all that the destination is asked to send back. */
export const filterPath = 'errors,items.*.status,items.*.error.type';

/** Bytes that `action` adds to a record, at most: the longest id has 20 digits. */
export const actionBytes = (tenant: string): number => action(`${tenant}:${'9'.repeat(20)}`).length + 1;

/**
 * The body of a `_bulk` request. The operation `create` with a fixed `_id` stores an event once, however often it is sent:
 * a second time it is answered with 409 (Elasticsearch, "Bulk index or delete documents").
 */
export function bulkBody(tenant: string, { records }: Batch): Buffer {
  const newline = Buffer.from('\n');
  return Buffer.concat(
    records.flatMap(({ event, record }) => [Buffer.from(action(`${tenant}:${event.id}`)), record, newline]),
  );
}

/**
 * The body for one status record. Its `_id` has a word where an event's has a number, and is the same for the same record.
 * `event.kind` and `event.dataset` (ECS) distinguish the document; a data stream requires `@timestamp`.
 */
export function statusBody(tenant: string, sink: string, record: StatusRecord): Buffer {
  const text = statusRecordText(record);
  const hash = createHash('sha256').update(`${sink}\n${text}`).digest('hex').slice(0, 32);
  const ecs = JSON.stringify({
    '@timestamp': new Date(record.atMs).toISOString(),
    event: { kind: 'state', dataset: 'qasphere.forwarder' },
  });
  return Buffer.from(`${action(`${tenant}:forwarder:${hash}`)}${ecs.slice(0, -1)},${text.slice(1)}\n`);
}

const action = (id: string) => `${JSON.stringify({ create: { _id: id } })}\n`;

interface Item {
  readonly status: number;
  /** Type of the error, printable; '' without one. Its reason may quote the document, so it is not asked for. */
  readonly type: string;
}

/**
 * The verdict on the answer to a `_bulk` request with `events` records; undefined if it is not Elasticsearch's own. Each
 * record has an answer of its own, and what is stored is not sent again.
 */
export function bulkVerdict(answer: HttpAnswer, events: number): Verdict | undefined {
  if (answer.status !== 200 || events === 0) return undefined;
  const items = itemsOf(answer.body);
  if (items?.length !== events) {
    const detail = `the answer does not list ${events} items: is url the address of Elasticsearch or OpenSearch?`;
    return { kind: 'retry', reason: 'server', detail };
  }
  const acceptedIndexes = items.flatMap((item, index) => (isStored(item) ? [index] : []));
  if (acceptedIndexes.length === events) return accepted;
  const refused = items.find(isIndexRefused);
  if (refused !== undefined) {
    const detail = `the index refuses documents: correct index, or give the credentials the privilege create_doc on it (${quote(refused)})`;
    return { kind: 'stop', reason: refused.status === 403 ? 'auth' : 'address', detail, acceptedIndexes };
  }
  const busy = items.find(({ status }) => status === 429 || status >= 500);
  if (busy !== undefined) {
    const reason = busy.status === 429 ? 'throttled' : 'server';
    return { kind: 'retry', reason, detail: `not stored for now (${quote(busy)})`, acceptedIndexes };
  }
  const failedIndex = items.findIndex((item) => !isStored(item));
  const detail = `refused for its content (${quote(items[failedIndex] as Item)})`;
  return { kind: 'reject', reason: 'malformed', detail, failedIndex, acceptedIndexes };
}

/** Created now, or there already. */
const isStored = ({ status }: Item) => status === 201 || status === 200 || status === 409;

/** The document is not the cause: no privilege, a block on the index, or an index that must not be created. */
const isIndexRefused = ({ status, type }: Item) =>
  status === 401 || status === 403 || (status === 404 && type.startsWith('index_not_found'));

const quote = ({ status, type }: Item) => `${status}${type === '' ? '' : `, ${type}`}`;

/** The items of an answer; undefined if it has another form. */
function itemsOf(body: Buffer): Item[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  const { items } = (value ?? {}) as { readonly items?: unknown };
  if (!Array.isArray(items)) return undefined;
  const found = items.map(itemOf);
  return found.every((item) => item !== undefined) ? found : undefined;
}

function itemOf(entry: unknown): Item | undefined {
  const { create } = (entry ?? {}) as { readonly create?: { readonly status?: unknown; readonly error?: unknown } };
  const status = create?.status;
  if (typeof status !== 'number') return undefined;
  const { type } = (create?.error ?? {}) as { readonly type?: unknown };
  return { status, type: typeof type === 'string' ? printable(type, 100) : '' };
}
