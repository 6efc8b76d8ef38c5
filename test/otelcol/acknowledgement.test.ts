import { describe, expect, it } from 'vitest';
import { accepted } from '../../src/lib/verdict.ts';
import type { PollInterval } from '../../src/sinks/splunk-hec/ack-poller.ts';
import { alive, delivered, saidOf, sent } from '../support/hec-sink.ts';
import { batchOf } from '../support/sink-parts.ts';
import { type Collector, collectorMissing, startCollector } from './collector.ts';
import { openSink } from './sinks.ts';

/** Polls only when a poll becomes due. */
const never: PollInterval = { firstMs: 3_600_000, longestMs: 3_600_000, hurryMs: 3_600_000 };
const idsOf = (collector: Collector) => collector.received().map(({ event }) => (event as { id: number }).id);

describe.skipIf(collectorMissing !== undefined)(
  `acknowledgement by an OpenTelemetry Collector${collectorMissing === undefined ? '' : ` (skipped: ${collectorMissing})`}`,
  () => {
    it.each([
      [true, 'auto', /^indexer acknowledgement/, 32],
      [true, true, /^indexer acknowledgement/, 32],
      [true, false, /no indexer acknowledgement/, 1],
      [false, false, /no indexer acknowledgement/, 1],
    ] as const)(
      'with the ack extension (%s) and acknowledgement %s is told as it is',
      async (acknowledgement, configured, told, window) => {
        await using collector = await startCollector({ acknowledgement });
        await using at = openSink(collector, { options: { acknowledgement: configured } });
        expect(await at.sink.probe(alive)).toBe(accepted);
        expect(await delivered(at.sink, batchOf(1, 3))).toBe(accepted);
        expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([expect.stringMatching(told)]);
        expect(at.sink.window).toBe(window);
        await collector.stop();
        expect(idsOf(collector)).toEqual([1, 2, 3]);
      },
    );

    it.each(['auto', true] as const)(
      'is neither claimed nor denied without the ack extension and with acknowledgement %s: nothing is sent, and the remedy is named',
      async (acknowledgement) => {
        await using collector = await startCollector({ acknowledgement: false });
        await using at = openSink(collector, { options: { acknowledgement } });
        const refusal = { kind: 'stop', detail: expect.stringContaining('set acknowledgement: false') };
        expect(await at.sink.probe(alive)).toMatchObject(refusal);
        expect(await at.sink.send(batchOf(1, 3), alive)).toMatchObject(refusal);
        expect(saidOf(at.heard, 'proof_of_delivery')).toEqual([]);
        await collector.stop();
        expect(collector.received()).toEqual([]);
      },
    );

    it('is learnt after a restart of ours for all that was open, from what the checkpoint remembers', async () => {
      await using collector = await startCollector();
      await using before = openSink(collector, { interval: never });
      for (let n = 0; n < 32; n++) await sent(before.sink, batchOf(n * 10 + 1, n * 10 + 10));
      const pendingAcks = JSON.parse(JSON.stringify(before.sink.pendingAcks?.()));
      await using after = openSink(collector, { deps: { pendingAcks } });
      const recovered = after.sink.resumed ?? [];
      expect(recovered.map(({ ranges }) => ranges)).toHaveLength(32);
      for (const { confirmed } of recovered) expect(await confirmed).toBe(accepted);
      await collector.stop();
      expect(idsOf(collector)).toEqual(Array.from({ length: 320 }, (_, index) => index + 1));
    });

    it('that a restart of the collector forgot is missed in time, and the batch is sent again, once', async () => {
      await using collector = await startCollector();
      await using at = openSink(collector, { parsed: { ackTimeout: 300 }, interval: never });
      const lost = await sent(at.sink, batchOf(1, 3));
      await collector.stop();
      await collector.start();
      expect(await lost.confirmed).toMatchObject({ kind: 'retry', detail: expect.stringContaining('sent again') });
      expect(await delivered(at.sink, batchOf(1, 3))).toMatchObject({ kind: 'accepted' });
      await collector.stop();
      expect(idsOf(collector)).toEqual([1, 2, 3, 1, 2, 3]);
    });

    it('is not trusted for earlier batches if the ackIds restart', async () => {
      await using collector = await startCollector();
      await using at = openSink(collector, { interval: never });
      const before = [await sent(at.sink, batchOf(1)), await sent(at.sink, batchOf(2))];
      await collector.stop();
      await collector.start();
      // The connection that the restart closed may be tried first.
      let after = await at.sink.send(batchOf(3), alive);
      while (after.kind === 'retry' && after.reason === 'network') after = await at.sink.send(batchOf(3), alive);
      const again = { kind: 'retry', detail: expect.stringContaining('restarted its count of ackIds') };
      expect(after).toMatchObject(again);
      for (const { confirmed } of before) expect(await confirmed).toMatchObject(again);
      await collector.stop();
      expect(idsOf(collector)).toEqual([1, 2, 3]);
    });
  },
);
