import { describe, expect, it } from 'vitest';
import { splunkHecOptions } from '../../../src/sink/splunk-hec/options.ts';
import { openSplunkHec } from '../../../src/sink/splunk-hec/sink.ts';
import { type HecServerOptions, startHecServer } from '../../support/hec-server.ts';
import { batchOf, recordOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const alive = new AbortController().signal;

async function collector(server: HecServerOptions = {}, options: object = {}) {
  const hec = await startHecServer(server);
  const deps = sinkDeps();
  const parsed = splunkHecOptions.parse({
    type: 'splunk-hec',
    url: hec.url,
    token: hec.token,
    acknowledgement: false,
    ...options,
  });
  const sink = openSplunkHec(parsed, deps);
  const close = async () => {
    await sink[Symbol.asyncDispose]();
    await hec[Symbol.asyncDispose]();
  };
  return { hec, sink, deps, [Symbol.asyncDispose]: close };
}

describe('the splunk-hec sink without acknowledgement', () => {
  it.each(['gzip', 'none'])('delivers each event byte for byte, in order, with compression %s', async (compression) => {
    await using at = await collector({}, { compression });
    const texts = [
      textOf(1),
      textOf(2, ',"meta":{"big":90071992547409931,"f":1.0,"e":1e3,"z":-0,"s":"\\ud800\u2028"}'),
      textOf(3),
    ];
    expect(await at.sink.send({ records: texts.map(recordOf) }, alive)).toEqual({ kind: 'accepted' });
    expect(await at.sink.send(batchOf(4, 6), alive)).toEqual({ kind: 'accepted' });
    expect(at.hec.events.map((event) => event.raw.toString())).toEqual([...texts, textOf(4), textOf(5), textOf(6)]);
  });
});
