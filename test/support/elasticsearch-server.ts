import { HttpEndpointServer, type Reaction, type ReceivedRequest } from './http-endpoint.ts';

export interface StoredDocument {
  readonly id: string;
  /** As it was sent. */
  readonly source: string;
}

/**
 * The part of Elasticsearch's API that the sink uses, strict: every line of a `_bulk` body must be an action `create` with an
 * `_id`, or a JSON object. A document is stored at most once.
 */
export class ElasticsearchServer implements AsyncDisposable {
  readonly documents: StoredDocument[] = [];
  /** Items answered with 409. */
  conflicts = 0;
  /** Answer to every request. */
  fault: Reaction | undefined;
  /** Status and type of the error of a document, by its source. */
  itemError: (source: string) => readonly [number, string] | undefined = () => undefined;
  readonly server: HttpEndpointServer;
  readonly #apiKey: string;

  static async start(apiKey: string): Promise<ElasticsearchServer> {
    const started: { server?: ElasticsearchServer } = {};
    const http = await HttpEndpointServer.start((request) => started.server?.react(request) ?? { status: 503 });
    started.server = new ElasticsearchServer(http, apiKey);
    return started.server;
  }

  private constructor(server: HttpEndpointServer, apiKey: string) {
    this.server = server;
    this.#apiKey = apiKey;
  }

  react({ method, path, headers, body }: ReceivedRequest): Reaction {
    if (this.fault !== undefined) return this.fault;
    if (headers.authorization !== `ApiKey ${this.#apiKey}`) return error(401, 'security_exception');
    if (path === '/_security/user/_has_privileges') return json(200, { has_all_requested: true });
    if (method !== 'POST' || !/^\/[^/]+\/_bulk(\?|$)/.test(path)) return error(405, 'method_not_allowed');
    if (headers['content-type'] !== 'application/x-ndjson') return error(406, 'media_type_header_exception');
    if (body === '') return error(400, 'parse_exception');
    if (!body.endsWith('\n')) return error(400, 'illegal_argument_exception');
    const lines = body.slice(0, -1).split('\n');
    if (lines.length % 2 !== 0) return error(400, 'illegal_argument_exception');
    const items = lines.flatMap((line, index) => {
      if (index % 2 === 1) return [];
      const id: unknown = JSON.parse(line).create?._id;
      if (typeof id !== 'string' || id === '') throw new Error(`no create with an _id: ${line}`);
      return [{ create: this.#create(id, lines[index + 1] ?? '') }];
    });
    return json(200, { errors: items.some(({ create }) => create.status !== 201), items });
  }

  [Symbol.asyncDispose]() {
    return this.server[Symbol.asyncDispose]();
  }

  #create(id: string, source: string): { readonly status: number; readonly error?: { readonly type: string } } {
    if (typeof JSON.parse(source) !== 'object') return { status: 400, error: { type: 'document_parsing_exception' } };
    const [status, type] = this.itemError(source) ?? [];
    if (status !== undefined && type !== undefined) return { status, error: { type } };
    if (this.documents.some((document) => document.id === id)) {
      this.conflicts++;
      return { status: 409, error: { type: 'version_conflict_engine_exception' } };
    }
    this.documents.push({ id, source });
    return { status: 201 };
  }
}

const json = (status: number, value: unknown): Reaction => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});
const error = (status: number, type: string) => json(status, { error: { type }, status });
