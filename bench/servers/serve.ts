/** Runs one server in a separate process: `serve.ts OPTIONS`, options as JSON. Answers its parent's requests over IPC. */
import { startHecServer } from '../../test/support/hec-server.ts';
import { startClockCollector } from './clock-collector.ts';
import type { BenchServer, ServerOptions } from './servers.ts';
import { startSource } from './source.ts';
import { startStreamCollector } from './stream-collector.ts';

const options = JSON.parse(process.argv[2] ?? '') as ServerOptions;

async function startHec(): Promise<BenchServer> {
  const { fault, latencyMs } = options;
  const hec = await startHecServer({
    countOnly: true,
    tokenState: options.acknowledges === true ? 'ack' : 'good',
    ...(latencyMs === undefined ? {} : { latencyMs }),
    ...(fault === undefined ? {} : { fault: () => fault }),
  });
  const bytes = () => hec.requests.reduce((sum, request) => sum + request.bytes, 0);
  return { url: hec.url, token: hec.token, caFile: '', count: () => hec.count, bytes };
}

async function start(): Promise<BenchServer> {
  switch (options.kind) {
    case 'source':
      return startSource(options);
    case 'hec':
      return startHec();
    case 'hec-clock':
      return startClockCollector();
    default:
      return startStreamCollector(options.kind);
  }
}

const server = await start();
process.on('message', (asked) => {
  if (asked === 'count') process.send?.(server.count());
  if (asked === 'bytes') process.send?.(server.bytes?.() ?? 0);
  if (asked === 'delays') process.send?.(server.delays?.() ?? []);
});
process.on('disconnect', () => process.exit());
process.send?.({ url: server.url, token: server.token, caFile: server.caFile });
