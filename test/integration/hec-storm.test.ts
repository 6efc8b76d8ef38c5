import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Batch, Cursor } from '../../src/event/event.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { Pipeline } from '../../src/pipeline/pipeline.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { splunkHecOptions } from '../../src/sinks/splunk-hec/options.ts';
import { openSplunkHec } from '../../src/sinks/splunk-hec/sink.ts';
import type { Source } from '../../src/source/source.ts';
import { CheckpointFiles } from '../../src/state/file/checkpoint-files.ts';
import { DeadLetterFile } from '../../src/state/file/dead-letter-files.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { chance, draw } from '../support/chance.ts';
import { type Fault, type HecServer, type HecServerOptions, startHecServer } from '../support/hec-server.ts';
import { eventOf, sinkDeps, textOf } from '../support/sink-parts.ts';

const events = 200_000;
const isPoison = (id: number) => id % 1000 === 777;

/** A log of `events` events, a thousand a page. */
const source: Source = {
  async page(after: Cursor) {
    const first = Number(after) + 1;
    const length = Math.max(0, Math.min(1000, events - first + 1));
    const texts = Array.from({ length }, (_, index) =>
      textOf(first + index, isPoison(first + index) ? ',"poison":1' : ''),
    );
    const moment = { monotonicMs: performance.now(), serverMs: undefined };
    return { after, events: texts.map(eventOf), asked: moment, answered: moment };
  },
  peek: async () => undefined,
  lastError: undefined,
};

/** A sink that also keeps which ids had to be sent again for another reason than their content. */
function watching(sink: Sink, again: Set<string>): Sink {
  const note = (batch: Batch, kind: string) => {
    if (kind === 'retry' || kind === 'stop') for (const { event } of batch.records) again.add(String(event.id));
  };
  return new Proxy(sink, {
    get(target, key) {
      if (key !== 'send') {
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (batch: Batch, kill: AbortSignal) => {
        const answer = await target.send(batch, kill);
        note(batch, answer.kind);
        if (answer.kind === 'sent') answer.confirmed.then(({ kind }) => note(batch, kind));
        return answer;
      };
    },
  });
}

const dataFaults: readonly (readonly [Fault, number])[] = [
  ['busy', 0.02],
  ['error', 0.01],
  ['not-found', 0.005],
  ['reset-before', 0.01],
  ['reset-after', 0.01],
  ['hang-after', 0.003],
  ['queue-warning', 0.01],
  ['swallow-ack', 0.01],
  ['late-ack', 0.05],
];
const ackFaults: readonly (readonly [Fault, number])[] = [
  ['busy', 0.03],
  ['error', 0.02],
  ['reset-before', 0.02],
  ['lose-ack', 0.02],
];

async function storm(acknowledgement: boolean, restartsAt: readonly number[], seed: number) {
  const random = chance(seed);
  const restarting = new Set(restartsAt);
  const options: HecServerOptions = {
    tokenState: acknowledgement ? 'ack' : 'good',
    keeps: 'none',
    ackAfter: 1,
    refuse: (raw) => (raw.includes('"poison":1') ? 6 : undefined),
    fault: ({ n, kind }) => {
      if (kind === 'data' && restarting.delete(n)) hec.restart();
      return n === 0 ? undefined : draw(random, kind === 'data' ? dataFaults : ackFaults);
    },
  };
  const hec: HecServer = await startHecServer(options);
  const directory = mkdtempSync(join(tmpdir(), 'storm-'));
  const again = new Set<string>();
  const deps = sinkDeps({ random });
  const parsed = splunkHecOptions.parse({
    type: 'splunk-hec',
    name: 'hec',
    url: hec.url,
    token: hec.token,
    acknowledgement,
    ackTimeout: '2s',
    timeout: '1s',
  });
  const store = new CheckpointFiles({
    directory: join(directory, 'checkpoints'),
    source: 'https://acme.test',
    emit: deps.emit,
    now: Date.now,
  });
  const signals = { graceful: new AbortController().signal, forced: new AbortController().signal };
  const route = await Pipeline.open(
    {
      name: 'hec',
      origin: 'https://acme.test',
      source,
      store,
      deadLetter: new DeadLetterFile({ directory: join(directory, 'dead-letter'), name: 'hec', now: Date.now }),
      settleMs: 0,
      pageSize: 1000,
      startAt: { kind: 'beginning' },
      emit: deps.emit,
      now: Date.now,
      random: () => random() / 20, // short waits
      wake: new Notifier(),
      graceMs: () => 60_000,
      format: deps.format,
      wants: () => true,
      redact: (event) => event,
      openSink: (pendingAcks) =>
        watching(openSplunkHec(parsed, { ...deps, pendingAcks }, { firstMs: 20, longestMs: 100, hurryMs: 10 }), again),
    },
    signals,
  );
  if (route === undefined) throw new Error('the route did not open');
  await route.once(performance.now(), signals);
  await route[Symbol.asyncDispose]();
  const checkpoint = await store.load('hec');
  const deadLetter = readFileSync(join(directory, 'dead-letter', 'hec.ndjson'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => Number(JSON.parse(line).event.id));
  rmSync(directory, { recursive: true });
  await hec[Symbol.asyncDispose]();
  return { hec, checkpoint, deadLetter, again, heard: deps.heard };
}

/** Everything but the poison once and in order; what came twice, and what of it an answer or acknowledgement that got lost explains. */
function examine(hec: HecServer, again: ReadonlySet<string>) {
  const ids = hec.events.map(({ raw }) => Number(/"id":(\d+)/.exec(raw.toString('latin1'))?.[1]));
  const once = ids.filter((id) => !again.has(String(id)));
  const data = hec.requests.filter(({ kind, kept }) => kind === 'data' && kept !== undefined);
  // Whether such a batch got a number is not known, so that the first one on its channel is not believed.
  const unsure = new Set(
    hec.requests
      .filter(({ kind, status }) => kind === 'data' && (status === undefined || status === 500))
      .map(({ channel }) => channel),
  );
  const lost = data.filter(
    ({ status, ackId, confirmed, channel }) =>
      status === undefined ||
      (ackId !== undefined && confirmed !== true) ||
      (ackId === 0 && channel !== undefined && unsure.has(channel)),
  );
  return {
    delivered: new Set(ids).size,
    poisoned: ids.filter(isPoison).length,
    twice: ids.length - new Set(ids).size,
    explained: lost.reduce((sum, { kept = 0 }) => sum + kept, 0),
    inOrder: once.every((id, index) => index === 0 || (once[index - 1] ?? 0) < id),
    once: once.length,
  };
}

const count = (heard: readonly TelemetryEvent[], event: TelemetryEvent['event']) =>
  heard.filter((one) => one.event === event).length;
const poison = Array.from({ length: events }, (_, index) => index + 1).filter(isPoison);

describe('200,000 events to a collector that fails at random', () => {
  it.each([
    ['with acknowledgement', true, []],
    ['without acknowledgement', false, []],
    ['with acknowledgement, and restarts that lose its memory', true, [40, 41, 150, 300]],
  ] as const)(
    'all arrive %s, poison is set aside once, order holds',
    async (_, acknowledgement, restarts) => {
      const { hec, checkpoint, deadLetter, again, heard } = await storm(acknowledgement, restarts, 20_261_124);
      const found = examine(hec, again);
      expect(found.delivered).toBe(events - poison.length);
      expect(found.poisoned).toBe(0);
      expect(deadLetter.toSorted((a, b) => a - b)).toEqual(poison);
      expect(found.twice).toBeLessThanOrEqual(found.explained);
      expect(found.inOrder).toBe(true);
      expect(found.once).toBeGreaterThan(events / 2);
      expect(checkpoint).toMatchObject({ after: BigInt(events) });
      expect(checkpoint).not.toHaveProperty('journal');
      expect(count(heard, 'pipeline.retry')).toBeGreaterThan(0);
    },
    400_000,
  );
});
