import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { BenchServer, Delay } from './servers.ts';

/** A HEC without acknowledgement that notes how old each event is when its request has come in whole. */
export async function startClockCollector(): Promise<BenchServer> {
  const delays: Delay[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const now = Date.now();
    const sent = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    for (const [, seconds] of body.toString('utf8').matchAll(/^\{"time":([\d.]+)/gm)) {
      const createdAtMs = Math.round(Number(seconds) * 1000);
      delays.push([createdAtMs, now - createdAtMs]);
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"Success","code":0}');
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, token: 'any', caFile: '', count: () => delays.length, delays: () => delays };
}
