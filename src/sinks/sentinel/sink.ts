import type { Batch } from '../../event/event.ts';
import { type StatusRecord, statusRecordText } from '../../event/status-record.ts';
import type { HttpDestination, Prepared } from '../http-batch-sink.ts';
import { jsonArray } from '../lines.ts';
import type { BatchLimits } from '../sink.ts';
import type { SentinelOptions } from './options.ts';
import type { EntraToken } from './token.ts';

/** Azure Monitor, "Logs Ingestion API". */
const apiVersion = '2023-01-01';

/** A data collection rule, which puts the events into a table of a Log Analytics workspace: Microsoft Sentinel. */
export class DataCollectionRule implements HttpDestination {
  readonly limits: BatchLimits;
  readonly #url: string;
  readonly #token: EntraToken;

  constructor({ endpoint, ruleId, stream, batch }: SentinelOptions, token: EntraToken) {
    this.#token = token;
    this.#url = `${new URL(endpoint).origin}/dataCollectionRules/${ruleId}/streams/${stream}?api-version=${apiVersion}`;
    // A comma for each record; the brackets of the array are within the first record's overhead.
    this.limits = { ...batch, overheadBytes: 2 };
  }

  post({ records }: Batch, forced: AbortSignal): Promise<Prepared> {
    return this.#post(
      records.map(({ record }) => record),
      forced,
    );
  }

  postStatus(record: StatusRecord, forced: AbortSignal): Promise<Prepared> {
    return this.#post([Buffer.from(statusRecordText(record))], forced);
  }

  postNothing(forced: AbortSignal): Promise<Prepared> {
    return this.#post([], forced);
  }

  async #post(records: readonly Buffer[], forced: AbortSignal): Promise<Prepared> {
    const refused = await this.#token.obtain(forced);
    if (refused !== undefined) return refused;
    return {
      url: this.#url,
      contentType: 'application/json',
      body: jsonArray(records),
      events: records.length,
      credentials: this.#token,
    };
  }
}
