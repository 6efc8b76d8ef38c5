import { writeFileSync } from 'node:fs';
import { Consumer } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { definitionOf } from '../../src/sinks/registry.ts';
import type { SinkDeps } from '../../src/sinks/sink.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { type Arrival, sinkConformance } from '../../src/testing/sink-conformance.ts';
import { configOf, load, withSink } from '../support/configuration.ts';
import { startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';
import { batchOf, recordOf, sinkDeps, textOf } from '../support/sink-parts.ts';
import { type Consumed, KafkaBroker, user } from './kafka-broker.ts';

const found = inject('kafka');
const missing = 'missing' in found ? found.missing : undefined;
const alive = new AbortController().signal;
const env = { QASPHERE_API_KEY: 'k', PASSWORD: user.password };
const { configure, file } = runs();
let topics = 0;

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const [sink] = configOf(load(withSink('type: kafka', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return definitionOf(sink).open(sink, deps);
}

const linesFor = (address: string, topic: string, ...more: string[]) => [
  `brokers: ["${address}"]`,
  `topic: ${topic}`,
  'timeout: 5s',
  ...more,
];
const idsIn = (records: readonly Consumed[]) => records.map(({ value }) => Number(idOf(value)));

/** Reads a topic from its beginning on, as its messages come. */
async function reader(address: string, topic: string) {
  const consumer = new Consumer({
    ...{ clientId: 'test', groupId: topic, bootstrapBrokers: [address], retries: 3 },
    ...{ timeout: 1_000, requestTimeout: 2_000 },
  });
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 50, autocommit: false });
  const arrivals: Arrival[] = [];
  stream.on('data', ({ value, headers }: { value: Buffer; headers: Map<Buffer, Buffer> }) => {
    const isStatus = [...headers].some(([name, content]) => String(name) === 'type' && String(content) === 'status');
    arrivals.push({ text: String(value), isStatus });
  });
  return { arrivals, [Symbol.asyncDispose]: () => consumer.close(true) };
}

/** `acks` of each Produce request (api key 0, version 9 to 12) in what a connection sent. */
function acksIn(sent: readonly Buffer[]): number[] {
  const bytes = Buffer.concat(sent);
  const found: number[] = [];
  for (let at = 0; at + 14 < bytes.length; at += 4 + bytes.readInt32BE(at)) {
    if (bytes.readInt16BE(at + 4) !== 0) continue;
    // Header 2: client id with a 16 bit length, then tagged fields; the body begins with the nullable transactional id.
    const body = at + 12 + 2 + bytes.readInt16BE(at + 12) + 1;
    found.push(bytes.readInt16BE(body + 1));
  }
  return found;
}

describe.skipIf(missing !== undefined)(
  `the kafka sink and Apache Kafka${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let broker: KafkaBroker;
    beforeAll(async () => {
      if ('classPath' in found) broker = await KafkaBroker.start(found.classPath);
    });
    afterAll(() => broker?.[Symbol.asyncDispose]());

    const topic = async (partitions = 1, ...config: string[]) => {
      const name = `audit-${++topics}`;
      await broker.createTopic(name, partitions, ...config);
      return name;
    };

    it('writes the record with key, headers and time, whatever lies between two times', async () => {
      const name = await topic();
      await using sink = open(linesFor(broker.address, name));
      const times = [
        '2019-01-01T00:00:00.001Z',
        '2024-02-29T12:00:00.002Z',
        '2026-11-01T00:00:00.003Z',
        '2026-11-01T00:00:00.004Z',
      ];
      const records = times.map((at, index) =>
        recordOf(`{"id":${index + 1},"action":"user.login","user":{"id":7},"createdAt":"${at}"}`),
      );
      expect(await sink.send({ records }, alive)).toEqual({ kind: 'accepted' });
      expect(await broker.consume(name)).toEqual(
        records.map(({ record }, index) => ({
          partition: 0,
          timestampMs: Date.parse(times[index] ?? ''),
          headers: { id: String(index + 1), tenant: 'acme.eu1.qasphere.com', action: 'user.login' },
          key: 'acme.eu1.qasphere.com',
          value: String(record),
        })),
      );
    });

    it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('compresses with %s', async (compression) => {
      const name = await topic();
      await using sink = open(linesFor(broker.address, name, `compression: ${compression}`));
      expect(await sink.send(batchOf(1, 50), alive)).toEqual({ kind: 'accepted' });
      expect((await broker.consume(name)).map(({ value }) => value)).toEqual(
        batchOf(1, 50).records.map(({ record }) => String(record)),
      );
    });

    it('keeps the order of each user in its partition with key: user', async () => {
      const name = await topic(3);
      await using sink = open(linesFor(broker.address, name, 'key: user'));
      const records = Array.from({ length: 60 }, (_, index) =>
        recordOf(`{"id":${index + 1},"user":{"id":${index % 7}}}`),
      );
      expect(await sink.send({ records }, alive)).toEqual({ kind: 'accepted' });
      const consumed = await broker.consume(name);
      expect(consumed).toHaveLength(60);
      expect(new Set(consumed.map(({ partition }) => partition)).size).toBeGreaterThan(1);
      for (let number = 0; number < 7; number++) {
        const own = consumed.filter((record) => record.key === String(number));
        expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
        expect(idsIn(own)).toEqual(idsIn(own).toSorted((a, b) => a - b));
      }
    });

    it('keeps a status record apart by its headers', async () => {
      const name = await topic();
      await using sink = open(linesFor(broker.address, name));
      expect(await sink.sendStatus({ event: 'forwarder.heartbeat', atMs: 5, members: {} }, alive)).toEqual({
        kind: 'accepted',
      });
      const [record] = await broker.consume(name);
      expect(record?.headers).toEqual({
        type: 'status',
        tenant: 'acme.eu1.qasphere.com',
        action: 'forwarder.heartbeat',
      });
    });

    it('stores a request once though its answer is lost, and waits for the same request when it is sent again', async () => {
      const name = await topic();
      await using sink = open(linesFor(broker.address, name).map((line) => line.replace('timeout: 5s', 'timeout: 1s')));
      expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
      const before = broker.sent.flat().length;
      broker.isDropping = true;
      expect(await sink.send(batchOf(1, 3), alive)).toMatchObject({ kind: 'retry' });
      broker.isDropping = false;
      let verdict = await sink.send(batchOf(1, 3), alive);
      for (let turn = 0; turn < 20 && verdict.kind === 'retry'; turn++) verdict = await sink.send(batchOf(1, 3), alive);
      expect(verdict).toEqual({ kind: 'accepted' });
      expect(broker.sent.flat().length).toBeGreaterThan(before);
      expect(idsIn(await broker.consume(name))).toEqual([1, 2, 3]);
    });

    it('asks for the acknowledgement of all in-sync replicas', async () => {
      const name = await topic();
      const before = broker.sent.length;
      await using sink = open(linesFor(broker.address, name));
      await sink.send(batchOf(1), alive);
      expect(broker.sent.slice(before).flatMap(acksIn)).toEqual([-1]);
    });

    it('rejects the record that is too large alone, and delivers the others', async () => {
      const name = await topic(1, 'max.message.bytes=2000');
      await using sink = open(linesFor(broker.address, name, 'compression: none'));
      const large = recordOf(textOf(2, `,"meta":{"x":"${'y'.repeat(5_000)}"}`));
      const [first, , third] = batchOf(1, 3).records;
      if (first === undefined || third === undefined) throw new Error('no records');
      expect(await sink.send({ records: [first, large, third] }, alive)).toMatchObject({
        kind: 'reject',
        reason: 'too_large',
      });
      expect(await sink.send({ records: [large] }, alive)).toMatchObject({ kind: 'reject', failedIndex: 0 });
      for (const record of [first, third])
        expect(await sink.send({ records: [record] }, alive)).toEqual({ kind: 'accepted' });
      expect(idsIn(await broker.consume(name))).toEqual([1, 3]);
    });

    it('answers for a batch whose predecessor, another one, is refused meanwhile', async () => {
      const name = await topic(1, 'max.message.bytes=2000');
      const lines = [...linesFor(broker.address, name), 'compression: none'];
      await using sink = open(lines.map((line) => line.replace('timeout: 5s', 'timeout: 1s')));
      expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
      const large = recordOf(textOf(1, `,"meta":{"x":"${'y'.repeat(5_000)}"}`));
      broker.isDropping = true;
      expect(await sink.send({ records: [large] }, alive)).toMatchObject({ kind: 'retry' });
      broker.isDropping = false;
      let verdict = await sink.send(batchOf(2), alive);
      for (let turn = 0; turn < 20 && verdict.kind === 'retry'; turn++) verdict = await sink.send(batchOf(2), alive);
      expect(verdict).toEqual({ kind: 'accepted' });
      expect(idsIn(await broker.consume(name))).toEqual([2]);
    });

    it('parks on an unknown topic, which is not created', async () => {
      await using sink = open(linesFor(broker.address, 'no-such-topic'));
      for (const verdict of [await sink.send(batchOf(1), alive), await sink.probe(alive)])
        expect(verdict).toMatchObject({
          kind: 'stop',
          reason: 'address',
          detail: expect.stringContaining('topic no-such-topic does not exist'),
        });
      expect(await broker.topics()).not.toContain('no-such-topic');
    });

    it.each(['plain', 'scram-sha-512'])(
      'logs in with %s, parks on a wrong password, and reads a password file again',
      async (mechanism) => {
        const name = await topic();
        const path = file(`password-${mechanism}`, 'wrong-password');
        const sasl = `sasl: { mechanism: ${mechanism}, username: ${user.name}, passwordFile: ${path} }`;
        await using sink = open(linesFor(`127.0.0.1:${broker.saslPort}`, name, sasl));
        const refused = await sink.probe(alive);
        expect(refused).toMatchObject({
          kind: 'stop',
          reason: 'auth',
          detail: expect.stringContaining('correct sasl'),
        });
        expect(JSON.stringify(refused)).not.toContain('wrong-password');
        writeFileSync(path, user.password);
        let verdict = await sink.send(batchOf(1), alive);
        if (verdict.kind === 'stop') verdict = await sink.send(batchOf(1), alive);
        expect(verdict).toEqual({ kind: 'accepted' });
      },
    );

    it('loses nothing over SIGKILL of the program and of the broker', async () => {
      const name = await topic();
      await using simulator = await startSimulator({ events: 500, rate: 200, key });
      const sink = `{ type: kafka, brokers: ["${broker.address}"], topic: ${name}, timeout: 3s, batch: { maxEvents: 100 } }`;
      const { file: config } = configure(simulator.url, { sinks: [sink] });
      const first = startProgram(['run', '-c', config], { env: { LOG_LEVEL: 'trace' } });
      await first.until((stderr) => stderr.includes('checkpoint.saved'));
      first.child.kill('SIGKILL');
      await first.ended;
      const second = startProgram(['run', '-c', config], { env: { LOG_LEVEL: 'trace' } });
      await second.until((stderr) => stderr.includes('checkpoint.saved'));
      await broker.kill();
      await second.until((stderr) => stderr.includes('pipeline.retry'));
      await broker.start();
      await second.until((stderr) => stderr.includes('pipeline.recovered'));
      second.child.kill('SIGTERM');
      expect(await second.ended, second.stderr()).toBe(0);
      const once = startProgram(['once', '-c', config]);
      expect(await once.ended, once.stderr()).toBe(0);
      const ids = idsIn(await broker.consume(name));
      const newest = Math.max(...ids);
      const expected = (simulator.generated?.page(0n, 1_000_000) ?? []).map((text) => Number(idOf(String(text))));
      expect([...new Set(ids)].toSorted((a, b) => a - b)).toEqual(expected.filter((id) => id <= newest));
      // Only what was in flight when our process was killed may come twice.
      expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(100);
    });

    it('ends `once` with 69 if the topic is unknown', async () => {
      await using simulator = await startSimulator({ events: 5, key });
      const { file: config } = configure(simulator.url, {
        sinks: [`{ type: kafka, brokers: ["${broker.address}"], topic: nowhere }`],
      });
      const program = startProgram(['once', '-c', config]);
      expect(await program.ended, program.stderr()).toBe(69);
    });

    sinkConformance(
      { describe, it },
      {
        name: 'kafka',
        async start() {
          const name = await topic();
          return Object.assign(await reader(broker.address, name), { name });
        },
        open: ({ name }, deps) => open(linesFor(broker.address, name), deps),
        arrivals: ({ arrivals }) => arrivals,
        stall: () => {
          broker.isStalled = true;
        },
        recover: () => {
          broker.isStalled = false;
        },
        waitMs: 30_000,
      },
    );
  },
);
