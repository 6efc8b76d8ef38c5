import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import type { Simulator } from '../../src/testing/simulator/simulator.ts';
import { Authority, certificatesMissing } from '../support/authority.ts';
import { covers, eventually, readCheckpoint, startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';
import { textOf } from '../support/sink-parts.ts';
import { type Collector, collectorMissing, startCollector } from './collector.ts';
import { meaningOf, token } from './sinks.ts';

const missing = collectorMissing ?? certificatesMissing;
const because = missing === undefined ? '' : ` (skipped: ${missing})`;
const key = 'SIEM-LOG-ONLY-demo';
const place = scratch();
let test = 0;
let state = '';
beforeEach(() => {
  test += 1;
  state = `${place.directory}/${test}/state`;
});

function configure(simulator: Simulator, collector: Collector, sink = '', source = ''): string {
  return place.file(
    `${test}/config.yaml`,
    `source: { url: "${simulator.url}", apiKey: ${key}, requestsPerSecond: 20, schedule: "* * * * * *"${source} }
state: { directory: "${state}" }
sinks: [{ name: splunk, type: splunk-hec, url: "${collector.url}", token: "${token}"${sink} }]
`,
  );
}

const textsOf = (simulator: Simulator): string[] =>
  simulator.generated?.page(0n, 1_000_000).map((text) => text.toString()) ?? [];
const idOf = (event: unknown) => (event as { id: number }).id;
const saved = () => existsSync(`${state}/checkpoints/splunk.json`);
/** Ids in the dead letter, in order of being set aside. */
const setAside = () =>
  readFileSync(`${state}/dead-letter/splunk.ndjson`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => idOf(JSON.parse(line).event));

/** The collector has exactly these events, in this order. */
function expectExactly(collector: Collector, texts: readonly string[]): void {
  const received = collector.received();
  expect(received).toHaveLength(texts.length);
  const altered = texts.findIndex((text, index) => !isDeepStrictEqual(received[index]?.event, meaningOf(text)));
  expect(altered, `${texts[altered]} became ${JSON.stringify(received[altered]?.event)}`).toBe(-1);
}

describe.skipIf(missing !== undefined)(`the program before an OpenTelemetry Collector${because}`, () => {
  it('delivers 100,000 events in one run without acknowledgement, once each and in order', async () => {
    await using simulator = await startSimulator({ events: 100_000, key });
    await using collector = await startCollector({ acknowledgement: false });
    const once = startProgram(['once', '-c', configure(simulator, collector, ', acknowledgement: false')]);
    expect(await once.ended, once.stderr()).toBe(0);
    await collector.stop();
    expectExactly(collector, textsOf(simulator));
    expect(covers(readCheckpoint(state, 'splunk'), simulator.lastId())).toBe(true);
  });

  it('finds the acknowledgement by itself, over TLS, and counts 5,000 events as delivered when they are acknowledged', async () => {
    using authority = new Authority();
    await using simulator = await startSimulator({ events: 5_000, key });
    await using collector = await startCollector({ tls: authority.leaf() });
    const config = configure(simulator, collector, `, tls: { caFile: "${authority.caFile}" }`);
    const once = startProgram(['once', '-c', config]);
    expect(await once.ended, once.stderr()).toBe(0);
    expect(once.stderr()).toContain('"indexer acknowledgement: a batch counts as delivered');
    await collector.stop();
    expectExactly(collector, textsOf(simulator));
    expect(covers(readCheckpoint(state, 'splunk'), simulator.lastId())).toBe(true);
    expect(readCheckpoint(state, 'splunk')).not.toHaveProperty('journal');
  });

  it.each([
    [true, 'auto', 0, /✓ splunk: token .*; indexer acknowledgement: /],
    [true, 'false', 0, /✓ splunk: token .*; the answer 2xx, no indexer acknowledgement: /],
    [false, 'false', 0, /✓ splunk: token .*; the answer 2xx, no indexer acknowledgement: /],
    [false, 'auto', 69, /✗ splunk: token .*set acknowledgement: false/],
    [false, 'true', 69, /✗ splunk: token .*set acknowledgement: false/],
  ] as const)(
    'says in a check which proof is in force, and sends nothing: ack extension %s, acknowledgement %s',
    async (acknowledgement, configured, code, told) => {
      await using simulator = await startSimulator({ events: 10, key });
      await using collector = await startCollector({ acknowledgement });
      const check = startProgram(['check', '-c', configure(simulator, collector, `, acknowledgement: ${configured}`)]);
      expect(await check.ended).toBe(code);
      expect(check.stdout()).toMatch(told);
      await collector.stop();
      expect(collector.received()).toEqual([]);
    },
  );

  it('ends with 69, delivers nothing and moves nothing where it can’t learn whether there is acknowledgement', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    await using collector = await startCollector({ acknowledgement: false });
    const once = startProgram(['once', '-c', configure(simulator, collector), '--patience', '1s']);
    expect(await once.ended).toBe(69);
    expect(once.stderr()).toContain('set acknowledgement: false');
    expect(readCheckpoint(state, 'splunk').after).toBe('0');
    await collector.stop();
    expect(collector.received()).toEqual([]);
    expect(setAside()).toEqual([]);
  });

  it.each(['gzip', 'none'])('delivers what is too large for one request in smaller ones (%s)', async (compression) => {
    await using simulator = await startSimulator({ events: 3_000, key });
    await using collector = await startCollector({ maxRequestBytes: 100_000 });
    const once = startProgram(['once', '-c', configure(simulator, collector, `, compression: ${compression}`)]);
    expect(await once.ended, once.stderr()).toBe(0);
    await collector.stop();
    expectExactly(collector, textsOf(simulator));
    expect(setAside()).toEqual([]);
  });

  it('sets the events aside, once, that the collector can’t read, and delivers all others in order', async () => {
    const isPoison = (id: number) => [1, 500, 501, 777, 2_000].includes(id);
    const texts = Array.from({ length: 2_000 }, (_, index) =>
      // Valid JSON, but no number that the collector can hold.
      textOf(index + 1, isPoison(index + 1) ? ',"meta":{"amount":1e400}' : ''),
    );
    await using simulator = await startSimulator({ log: texts, key });
    await using collector = await startCollector();
    const once = startProgram(['once', '-c', configure(simulator, collector)]);
    expect(await once.ended, once.stderr()).toBe(0);
    await collector.stop();
    expectExactly(
      collector,
      texts.filter((_, index) => !isPoison(index + 1)),
    );
    expect(setAside().toSorted((a, b) => a - b)).toEqual([1, 500, 501, 777, 2_000]);
    expect(covers(readCheckpoint(state, 'splunk'), 2_000n)).toBe(true);
  });

  it('delivers everything, and nothing twice, to a collector that loses at each restart all it had not acknowledged', async () => {
    await using simulator = await startSimulator({ events: 5_000, rate: 200, key });
    await using collector = await startCollector();
    // Without a settling time a checkpoint is one id: all up to it is confirmed.
    const config = configure(simulator, collector, ', ackTimeout: 2s', ', settle: 0s');
    const run = startProgram(['run', '-c', config]);
    const confirmed = () => BigInt(readCheckpoint(state, 'splunk').after);
    const upTo = (id: bigint) => eventually(() => saved() && confirmed() >= id);
    const isConfirmed = ({ event }: { event: unknown }) => BigInt(idOf(event)) <= confirmed();
    const failures = () => run.stderr().split('"reason":"network"').length;
    let lost = 0;
    await upTo(simulator.lastId());
    for (let restart = 0; restart < 3; restart++) {
      // Something is sent and not acknowledged.
      await eventually(() => 'journal' in readCheckpoint(state, 'splunk'));
      const before = failures();
      await collector.stop();
      // What is confirmed is saved before anything more is sent.
      await run.until(() => failures() > before);
      lost += collector.received().filter((one) => !isConfirmed(one)).length;
      collector.lose(isConfirmed);
      await collector.start();
      await upTo(simulator.lastId());
    }
    run.child.kill('SIGTERM');
    expect(await run.ended, run.stderr()).toBe(0);
    await collector.stop();
    collector.lose(isConfirmed);
    const ids = collector.received().map(({ event }) => idOf(event));
    const ever = textsOf(simulator).map((text) => idOf(JSON.parse(text)));
    expect(ids.toSorted((a, b) => a - b)).toEqual(ever.filter((id) => BigInt(id) <= confirmed()));
    expect(lost).toBeGreaterThan(0);
  });
});
