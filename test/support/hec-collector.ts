import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { AckMemory } from './hec-acks.ts';
import { type Received, readEnvelopes } from './hec-parse.ts';
import type { Asked, Fault, HecServerOptions, LoggedRequest } from './hec-types.ts';

/** One request, read whole. */
export interface HecRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly entry: LoggedRequest;
}

/** What the other side of a request sees. */
export type Reaction =
  | { readonly status: number; readonly body: string | object; readonly headers?: Record<string, string | string[]> }
  | 'reset'
  | 'hang';

const code = (status: number, number: number, text: string, more: object = {}): Reaction => ({
  status,
  body: { text, code: number, ...more },
});
const page = (status: number, title: string): Reaction => ({
  status,
  body: `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`,
});
const notFound = (status: number) => code(status, 404, 'The requested URL was not found on this server.');

/** Faults that come before the request is looked at. */
const early: Readonly<Partial<Record<Fault & string, Reaction>>> = {
  'reset-before': 'reset',
  'hang-before': 'hang',
  'not-found': notFound(404),
  busy: code(503, 9, 'Server is busy'),
  error: code(500, 8, 'Internal server error'),
  throttle: code(429, 26, 'Server is busy'),
};

const refusalTexts: Readonly<Record<number, string>> = {
  6: 'Invalid data format',
  7: 'Incorrect index',
  12: 'Event field is required',
  13: 'Event field cannot be blank',
  15: 'Error in handling indexed fields',
};

/** How a collector behaves, as Splunk's documentation and those who measured it describe it. */
export class HecCollector {
  readonly events: Received[] = [];
  readonly counts = { data: 0, ack: 0, kept: 0 };
  token: string;
  tokenState: 'good' | 'disabled' | 'ack' | 'unknown';
  readonly #options: HecServerOptions;
  /** One per indexer. */
  readonly #memories: readonly AckMemory[];
  /** Requests by indexer, channel and ackId. */
  readonly #given = new Map<string, LoggedRequest>();

  constructor(options: HecServerOptions) {
    this.#options = options;
    this.token = options.token ?? 'b7a1e2c4-0d6f-4c39-9a55-3f1d2e4c5b6a';
    this.tokenState = options.tokenState ?? 'good';
    this.#memories = Array.from({ length: options.backends?.count ?? 1 }, () => new AckMemory());
  }

  /** An indexer restarts: counts at 0, memory lost. All of them without a number. */
  restart(backend?: number): void {
    for (const [index, memory] of this.#memories.entries())
      if (backend === undefined || backend === index) memory.forget();
  }

  async react(request: HecRequest): Promise<Reaction> {
    const { kind, channel, headers } = request.entry;
    if (kind === 'health') return code(200, 17, 'HEC is healthy');
    if (kind === 'other') return notFound(404);
    if (request.method !== 'POST') return notFound(405);
    const asked: Asked = {
      n: this.counts[kind]++,
      kind,
      channel,
      headers,
      body: () => decoded(request) ?? request.body,
    };
    const fault = this.#options.fault?.(asked);
    if (typeof fault === 'object' && 'status' in fault) return { body: '', ...fault };
    if (typeof fault === 'object') await fault.wait;
    const reaction = typeof fault === 'string' ? early[fault] : undefined;
    if (reaction !== undefined) return reaction;
    const refusal = this.#authorise(request);
    if (refusal !== undefined) return refusal;
    return kind === 'ack' ? this.#reactToPoll(request, fault) : this.#reactToData(request, fault);
  }

  #authorise({ url, headers }: HecRequest): Reaction | undefined {
    if (url.searchParams.has('token'))
      return url.searchParams.get('token') === this.token
        ? code(400, 16, 'Query string authorization is not enabled')
        : code(403, 4, 'Invalid token');
    const header = headers.authorization?.trim() ?? '';
    if (header === '') return code(401, 2, 'Token is required');
    const given = /^Splunk +(\S.*)$/.exec(header)?.[1];
    if (given === undefined) return code(401, 3, 'Invalid authorization');
    if (given !== this.token || this.tokenState === 'unknown') return code(403, 4, 'Invalid token');
    return this.tokenState === 'disabled' ? code(403, 1, 'Token is disabled') : undefined;
  }

  #reactToPoll({ body, entry }: HecRequest, fault: Fault | undefined): Reaction {
    const { channel, backend } = entry;
    if (this.tokenState !== 'ack') return code(400, 14, 'ACK is disabled');
    if (channel === undefined) return code(400, 10, 'Data channel is missing');
    const { acks } = JSON.parse(body.toString('utf8')) as { acks: number[] };
    Object.assign(entry, { acks, events: acks.length });
    const answer = this.#memoryOf(backend).ask(channel, acks);
    if (fault === 'lose-ack') return 'reset';
    for (const id of acks)
      if (answer[id] === true) Object.assign(this.#given.get(`${backend} ${channel} ${id}`) ?? {}, { confirmed: true });
    return { status: 200, body: { acks: answer } };
  }

  async #reactToData(request: HecRequest, fault: Fault | undefined): Promise<Reaction> {
    const { entry } = request;
    const body = decoded(request);
    const refusal = this.#checkRequest(request, body) ?? this.#keep(body ?? request.body, entry);
    if (refusal !== undefined) return refusal;
    this.#giveAckId(entry, fault);
    if (fault === 'reset-after') return 'reset';
    if (fault === 'hang-after') return 'hang';
    if (fault === 'slow-answer') await sleep(300);
    const ack = entry.ackId === undefined || fault === 'no-ack-id' ? {} : { ackId: entry.ackId };
    if (fault === 'queue-warning') return code(200, 24, 'Queue approaching capacity', ack);
    if (fault === 'ack-warning') return code(200, 25, 'ACK channel approaching capacity', ack);
    return code(200, 0, 'Success', ack);
  }

  #checkRequest({ headers, body, entry }: HecRequest, text: Buffer | undefined): Reaction | undefined {
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'gzip') return page(415, 'Unsupported Media Type');
    if (body.length > (this.#options.maxContentBytes ?? Number.POSITIVE_INFINITY))
      return page(413, 'Content-Length too large');
    if (text === undefined) return page(400, 'Bad Request');
    if (this.tokenState === 'ack' && entry.channel === undefined) return code(400, 10, 'Data channel is missing');
    if (entry.channel !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(entry.channel))
      return code(400, 11, 'Invalid data channel');
    return text.length === 0 ? code(400, 5, 'No data') : undefined;
  }

  /** Keeps the events of a body, or returns why it is refused. */
  #keep(body: Buffer, entry: LoggedRequest): Reaction | undefined {
    if (this.#options.countOnly === true) {
      const lines = countLines(body);
      this.counts.kept += lines;
      Object.assign(entry, { events: lines, kept: lines });
      return undefined;
    }
    const { events, refusal } = readEnvelopes(body, this.#options);
    Object.assign(entry, { events: events.length });
    if (refusal === undefined || this.#options.keeps === 'prefix') {
      for (const event of events) this.events.push(event);
      this.counts.kept += events.length;
      entry.kept = events.length;
    }
    if (refusal === undefined) return undefined;
    const number = refusal.event + (refusal.code === 7 ? 1 : 0);
    const text = refusalTexts[refusal.code] ?? 'Invalid data format';
    return code(400, refusal.code, text, { 'invalid-event-number': number });
  }

  #giveAckId(entry: LoggedRequest, fault: Fault | undefined): void {
    const { channel, backend } = entry;
    if (this.tokenState !== 'ack' || channel === undefined) return;
    const after = fault === 'late-ack' ? 3 : (this.#options.ackAfter ?? 0);
    entry.ackId = this.#memoryOf(backend).give(channel, fault === 'swallow-ack' ? Number.POSITIVE_INFINITY : after);
    this.#given.set(`${backend} ${channel} ${entry.ackId}`, entry);
  }

  #memoryOf(backend: number): AckMemory {
    return this.#memories[backend] as AckMemory;
  }
}

/** The body without its content encoding, or undefined if it is not what it claims to be. */
function decoded({ headers, body }: HecRequest): Buffer | undefined {
  if (headers['content-encoding'] !== 'gzip') return body;
  try {
    return gunzipSync(body);
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
    return undefined;
  }
}

function countLines(body: Buffer): number {
  let lines = 0;
  for (let at = body.indexOf(0x0a); at !== -1; at = body.indexOf(0x0a, at + 1)) lines++;
  return lines;
}
