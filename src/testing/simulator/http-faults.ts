import type { IncomingMessage, ServerResponse } from 'node:http';
import { sleep } from '../../lib/shutdown.ts';
import { type Answer, json, loginPage, loginPath, plain, tooMany } from './auth.ts';
import type { FaultKind } from './faults.ts';
import { type Body, bodyOf } from './pages.ts';

/** What a fault happens to. */
export interface FaultScene {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Fires when the connection is gone. */
  readonly gone: AbortSignal;
  /** What would have been answered. */
  readonly page: Body;
  /** The simulator's own address, without a slash at the end. */
  readonly url: string;
  /** By the server's clock, milliseconds since the epoch. */
  readonly nowMs: number;
  /** Sends an answer, compressed where the client takes that. */
  send(answer: Answer): Promise<void>;
}

/** How long `slow` drips: past any sensible timeout. */
const slowMs = 60_000;
const dripMs = 100;
const pageHeaders = { 'Content-Type': 'application/json; charset=utf-8' };

const proxyPage = (status: number, reason: string) =>
  plain(status, `<html><head><title>${status} ${reason}</title></head><body>${reason}</body></html>\n`, 'text/html');

/** Lets `kind` happen. */
export async function injectFault(kind: FaultKind, scene: FaultScene): Promise<void> {
  const { response, page, send } = scene;
  switch (kind) {
    case '401':
      return send(json(401, { message: 'the token matches no active API key' }, { 'WWW-Authenticate': 'Bearer' }));
    case '402':
      return send(json(402, { message: 'your plan does not include Advanced Auth' }));
    case '403':
      return send(json(403, { message: 'the owner of this API key is suspended' }));
    case '404':
      return send(json(404, { message: 'not found' }));
    case '408':
      return send(plain(408, 'Request Timeout\n', 'text/plain'));
    case '429':
      return send(tooMany({ 'Retry-After': '1' }));
    case '429-date':
      return send(tooMany({ 'Retry-After': httpDate(scene.nowMs + 2000) }));
    case '429-bare':
      return send(tooMany({}));
    case '500':
      return send(json(500, { message: 'internal server error' }));
    case '502':
      return send(proxyPage(502, 'Bad Gateway'));
    case '503':
      return send(proxyPage(503, 'Service Unavailable'));
    case '504':
      return send(proxyPage(504, 'Gateway Timeout'));
    case 'reset':
      scene.request.socket.resetAndDestroy();
      return;
    case 'reset-body':
      return cutOff(scene, page.bytes.length >> 1);
    case 'reset-after':
      return cutOff(scene, page.bytes.length);
    case 'truncated':
      return send({ status: 200, headers: pageHeaders, body: bodyOf(mostOf(page.bytes)) });
    case 'truncated-gzip': {
      const cut = mostOf(await page.zipped());
      response.writeHead(200, { ...pageHeaders, 'Content-Encoding': 'gzip', 'Content-Length': cut.length }).end(cut);
      return;
    }
    case 'slow':
      return drip(scene);
    case 'html':
      return send(plain(200, loginPage, 'text/html'));
    case 'mislabelled':
      return send({ status: 200, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body: page });
    case 'no-events':
      return send(json(200, { after: 0, count: 0 }));
    case 'redirect':
      return send(plain(302, loginPage, 'text/html', { Location: `${scene.url}${loginPath}` }));
    case 'empty':
      return send(json(200, { after: 0, count: 0, events: [] }));
  }
}

const mostOf = (bytes: Buffer) => bytes.subarray(0, bytes.length - (bytes.length >> 2) - 1);

/** Resets the connection once `bytes` of the body are sent. */
function cutOff({ response, request, page }: FaultScene, bytes: number): void {
  // The answer is not ended first: a socket that is shutting down can't be reset, and would never be closed.
  response.writeHead(200, { ...pageHeaders, 'Content-Length': page.bytes.length });
  response.write(page.bytes.subarray(0, bytes), () => request.socket.resetAndDestroy());
}

async function drip({ response, page, gone, request }: FaultScene): Promise<void> {
  response.writeHead(200, { ...pageHeaders, 'Content-Length': page.bytes.length + slowMs });
  for (let sent = 0; sent * dripMs < slowMs && !gone.aborted; sent++) {
    // Every byte is good JSON, and the connection never idles: only a bound on the whole answer ends this.
    response.write(sent < page.bytes.length ? page.bytes.subarray(sent, sent + 1) : ' ');
    await sleep(dripMs, gone);
  }
  request.socket.destroy();
}

/** As in RFC 9110, section 5.6.7. */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}
