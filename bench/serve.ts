/** The far sides, each in a process of its own: `serve.ts source EVENTS PER_SECOND` or `serve.ts hec`; talks to its parent by messages. */
import type { startSimulator as Start } from '../src/simulate/server.ts';
import { startHecServer } from '../test/support/hec-server.ts';

const [kind, events, perSecond] = process.argv.slice(2);

async function start() {
  if (kind === 'hec') {
    const hec = await startHecServer({ countOnly: true });
    return { ready: { url: hec.url, token: hec.token }, count: () => hec.count };
  }
  const built = new URL('../dist/simulate/server.js', import.meta.url).href;
  const { startSimulator } = (await import(built)) as { startSimulator: typeof Start };
  const source = await startSimulator({ events: Number(events), requestsPerSecond: Number(perSecond) });
  return { ready: { url: source.url, token: 'SIEM-LOG-ONLY-demo' }, count: () => source.requestCount };
}

const { ready, count } = await start();
process.on('message', () => process.send?.({ count: count() }));
process.on('disconnect', () => process.exit());
process.send?.(ready);
