import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import type { HttpAnswer } from '../../lib/http.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import type { BatchRequest, HttpVerdict } from '../http-batch.ts';
import { HttpBatchSink, type HttpDestination } from '../http-batch-sink.ts';
import { allCredentials, basicCredentials, type Credentials, noCredentials, secretHeader } from '../http-options.ts';
import { type HttpPost, HttpSender } from '../http-sender.ts';
import type { BatchLimits, SinkDeps } from '../sink.ts';
import { actionBytes, bulkBody, bulkVerdict, filterPath, statusBody } from './bulk.ts';
import type { ElasticsearchOptions } from './options.ts';

/** An answer lists every record, and the reason of each failure. */
const MAX_ANSWER_BYTES = 8 * 1024 ** 2;

/** Elasticsearch or OpenSearch: each event is a document that is created at most once. */
export class ElasticsearchSink extends HttpBatchSink {
  readonly #sender: HttpSender;
  readonly #index: BulkIndex;

  constructor(options: ElasticsearchOptions, deps: SinkDeps) {
    const sender = new HttpSender({ ...options, maxAnswerBytes: MAX_ANSWER_BYTES }, deps);
    const index = new BulkIndex(options, deps);
    super(index, sender);
    this.#sender = sender;
    this.#index = index;
  }

  /** An empty request says whether the credentials are good; then they are asked for the privilege to create documents. */
  override async probe(forced: AbortSignal): Promise<Verdict> {
    const verdict = await super.probe(forced);
    if (verdict.kind !== 'accepted') return verdict;
    const { answer } = await this.#sender.post(this.#index.postPrivileges(), forced);
    // OpenSearch, and Elasticsearch without security, don't know the question.
    return answer?.status === 200 && hasNoPrivilege(answer.body) ? this.#index.notAllowed : accepted;
  }
}

class BulkIndex implements HttpDestination {
  readonly limits: BatchLimits;
  readonly #options: ElasticsearchOptions;
  readonly #tenant: string;
  readonly #name: string;
  readonly #base: string;
  readonly #credentials: Credentials;

  constructor(options: ElasticsearchOptions, { tenant, name }: SinkDeps) {
    const { url, apiKey, username, password, batch } = options;
    this.#options = options;
    this.#tenant = tenant;
    this.#name = name;
    this.#base = url.replace(/\/+$/, '');
    this.limits = { ...batch, overheadBytes: actionBytes(tenant) };
    this.#credentials = allCredentials(
      apiKey === undefined ? noCredentials : secretHeader('authorization', apiKey, 'ApiKey '),
      username === undefined || password === undefined ? noCredentials : basicCredentials(username, password),
    );
  }

  post(batch: Batch): HttpPost {
    return this.#bulk(bulkBody(this.#tenant, batch), batch.records.length);
  }

  postStatus(record: StatusRecord): HttpPost {
    return this.#bulk(statusBody(this.#tenant, this.#name, record), 1);
  }

  postNothing(): HttpPost {
    return this.#bulk(Buffer.alloc(0), 0);
  }

  /** Elasticsearch, "Check user privileges": asks about the credentials themselves, which needs no privilege. */
  postPrivileges(): HttpPost {
    const wanted = { index: [{ names: [this.#options.index], privileges: ['create_doc'] }] };
    return {
      url: `${this.#base}/_security/user/_has_privileges`,
      contentType: 'application/json',
      body: Buffer.from(JSON.stringify(wanted)),
      events: 0,
      credentials: this.#credentials,
    };
  }

  get notAllowed(): Verdict {
    const detail = `the credentials lack the privilege create_doc on ${this.#options.index}: add it to the API key or role`;
    return { kind: 'stop', reason: 'auth', detail };
  }

  #bulk(body: Buffer, events: number): HttpPost {
    return {
      url: `${this.#base}/${encodeURIComponent(this.#options.index)}/_bulk?filter_path=${filterPath}`,
      contentType: 'application/x-ndjson',
      body,
      events,
      credentials: this.#credentials,
      interpret: (answer: HttpAnswer, request: BatchRequest): Verdict | HttpVerdict | undefined =>
        bulkVerdict(answer, request.events),
    };
  }
}

function hasNoPrivilege(body: Buffer): boolean {
  return /"has_all_requested"\s*:\s*false/.test(body.toString('latin1'));
}
