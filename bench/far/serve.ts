/** One far side in a process of its own: `serve.ts OPTIONS`, options as JSON; answers its parent's questions by messages. */
import { startHecServer } from '../../test/support/hec-server.ts';
import { startClockCollector } from './clock-collector.ts';
import type { Far, FarOptions } from './far.ts';
import { startSource } from './source.ts';
import { startStreamCollector } from './stream-collector.ts';

const options = JSON.parse(process.argv[2] ?? '') as FarOptions;

async function startHec(): Promise<Far> {
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

async function start(): Promise<Far> {
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

const far = await start();
process.on('message', (asked) => {
  if (asked === 'count') process.send?.(far.count());
  if (asked === 'bytes') process.send?.(far.bytes?.() ?? 0);
  if (asked === 'delays') process.send?.(far.delays?.() ?? []);
});
process.on('disconnect', () => process.exit());
process.send?.({ url: far.url, token: far.token, caFile: far.caFile });
