import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { definitionOf } from '../../src/sinks/registry.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { configOf, load, withSink } from '../support/configuration.ts';
import { startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';
import { batchOf, sinkDeps, textOf } from '../support/sink-parts.ts';
import { keys, S3Gateway } from './s3-gateway.ts';

const found = inject('s3');
const missing = 'missing' in found ? found.missing : undefined;
const alive = new AbortController().signal;
const env = { QASPHERE_API_KEY: 'k', AWS_SECRET: keys.secretAccessKey };
const { configure } = runs();

describe.skipIf(missing !== undefined)(`the Versity S3 Gateway${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: S3Gateway;
  beforeAll(async () => {
    if ('program' in found) gateway = await S3Gateway.start(found.program);
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
  });

  const linesFor = (bucket: string, ...more: string[]) => [
    ...[`bucket: ${bucket}`, 'region: eu-central-1', `endpoint: "${gateway.url}"`, 'pathStyle: true'],
    ...[`accessKeyId: ${keys.accessKeyId}`, ...more],
  ];
  function open(bucket: string, ...more: string[]) {
    const lines = linesFor(bucket, 'secretAccessKey: ${AWS_SECRET}', ...more);
    const [sink] = configOf(load(withSink('type: s3', ...lines), env)).sinks;
    if (sink === undefined) throw new Error('no sink');
    return definitionOf(sink).open(sink, sinkDeps());
  }

  it('stores a batch as one object, once, whatever is in its key', async () => {
    await gateway.createBucket('stored');
    await using sink = open('stored', `prefix: "a!b*c'(d)/{tenant}/{dd}/"`);
    for (let turn = 0; turn < 2; turn++) expect(await sink.send(batchOf(1, 3), alive)).toEqual({ kind: 'accepted' });
    expect(await gateway.objects('stored')).toEqual([
      {
        key: expect.stringMatching(/^a!b\*c'\(d\)\/acme\.eu1\.qasphere\.com\/01\/1-3-[0-9a-f]{16}\.ndjson\.gz$/),
        text: `${textOf(1)}\n${textOf(2)}\n${textOf(3)}\n`,
      },
    ]);
  });

  it('retains an object if objectLock is set, and parks the sink if its bucket has no Object Lock', async () => {
    await gateway.createBucket('locked', { 'x-amz-bucket-object-lock-enabled': 'true' });
    await gateway.createBucket('unlocked');
    const lock = 'objectLock: { mode: GOVERNANCE, days: 1 }';
    await using sink = open('locked', 'prefix: ""', lock);
    expect(await sink.send(batchOf(1), alive)).toEqual({ kind: 'accepted' });
    const [object] = await gateway.objects('locked');
    expect((await gateway.head('locked', object?.key ?? '')).get('x-amz-object-lock-mode')).toBe('GOVERNANCE');
    await using other = open('unlocked', lock);
    expect(await other.send(batchOf(1), alive)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('objectLock'),
    });
  });

  it('passes the probe without an object, and finds a wrong bucket and a wrong secret', async () => {
    await gateway.createBucket('probed');
    await using good = open('probed');
    expect(await good.probe(alive)).toEqual({ kind: 'accepted' });
    expect(await gateway.objects('probed')).toEqual([]);
    await using elsewhere = open('absent');
    expect(await elsewhere.probe(alive)).toMatchObject({ kind: 'stop', reason: 'address' });
    const sink = configOf(
      load(withSink('type: s3', ...linesFor('probed', 'secretAccessKey: ${AWS_SECRET}')), {
        ...env,
        AWS_SECRET: 'another-fake-secret',
      }),
    ).sinks[0];
    if (sink === undefined) throw new Error('no sink');
    await using wrong = definitionOf(sink).open(sink, sinkDeps());
    expect(await wrong.probe(alive)).toMatchObject({ kind: 'stop', reason: 'auth' });
  });

  it.each(['json', 'ecs'])('has every event once after SIGKILL in between, in %s', async (format) => {
    const bucket = `killed-${format}`;
    await gateway.createBucket(bucket);
    await using simulator = await startSimulator({ events: 200, rate: 100, key });
    const lines = linesFor(bucket, `secretAccessKey: "${keys.secretAccessKey}"`, `format: ${format}`);
    const { file } = configure(simulator.url, {
      sinks: [`{ type: s3, ${lines.join(', ')}, batch: { maxAge: 300ms } }`],
    });
    for (let turn = 1; turn <= 3; turn++) {
      const stored = async () => (await gateway.objects(bucket)).length;
      const before = await stored();
      const program = startProgram(['run', '-c', file]);
      // Killed as soon as an object is seen: mostly before its checkpoint.
      await expect.poll(stored, { interval: 1, timeout: 30_000 }).toBeGreaterThan(before);
      program.child.kill('SIGKILL');
      await program.ended;
    }
    const last = startProgram(['once', '-c', file]);
    expect(await last.ended, last.stderr()).toBe(0);
    const records = (await gateway.objects(bucket)).flatMap(({ text }) => text.split('\n').slice(0, -1));
    const ids = records.map((record) =>
      format === 'json' ? Number(idOf(record)) : Number(JSON.parse(record).event.id),
    );
    const newest = Math.max(...ids);
    const all = (simulator.generated?.page(0n, 1_000_000) ?? []).map((text) => Number(idOf(String(text))));
    expect(ids.toSorted((a, b) => a - b)).toEqual(all.filter((id) => id <= newest));
    expect(ids.length).toBeGreaterThanOrEqual(200);
  });
});
