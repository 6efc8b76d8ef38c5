import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { ElasticsearchServer } from '../support/elasticsearch-server.ts';
import type { Reaction } from '../support/http-endpoint.ts';
import { type Program, startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';
import { fakeKeys, S3Server } from '../support/s3-server.ts';

const { configure } = runs();
const esKey = 'obviously-fake-key';
const isSave = /"event":"checkpoint\.saved"/g;
const traced = { env: { LOG_LEVEL: 'trace' } };

const s3Sink = ({ server: { url } }: S3Server, more: string) =>
  `{ type: s3, bucket: audit, region: eu-central-1, endpoint: "${url}", pathStyle: true, accessKeyId: ${fakeKeys.accessKeyId}, secretAccessKey: "${fakeKeys.secretAccessKey}", ${more} }`;
const esSink = ({ server: { url } }: ElasticsearchServer, more: string) =>
  `{ type: elasticsearch, url: "${url}", index: audit, format: json, apiKey: ${esKey}, ${more} }`;

/** A destination that can kill the program at a step of a delivery. */
interface Destination extends AsyncDisposable {
  sink: string;
  /** Every record that is stored. */
  stored(): string[];
  /** Called for each request, `before` it has an effect, or when it is stored but not answered. */
  onRequest(step: 'before' | 'stored', react: () => Reaction | undefined): void;
}

async function s3Destination(): Promise<Destination> {
  const s3 = await S3Server.start();
  const react = s3.react.bind(s3);
  return {
    sink: s3Sink(s3, 'batch: { maxAge: 700ms }'),
    stored: () => s3.records,
    onRequest: (step, hook) => {
      s3.react = (request) => (step === 'before' ? (hook() ?? react(request)) : after(react(request), hook));
    },
    [Symbol.asyncDispose]: () => s3[Symbol.asyncDispose](),
  };
}

async function elasticDestination(): Promise<Destination> {
  const es = await ElasticsearchServer.start(esKey);
  const react = es.react.bind(es);
  return {
    sink: esSink(es, 'batch: { maxEvents: 50 }'),
    stored: () => es.documents.map(({ source }) => source),
    onRequest: (step, hook) => {
      es.react = (request) => (step === 'before' ? (hook() ?? react(request)) : after(react(request), hook));
    },
    [Symbol.asyncDispose]: () => es[Symbol.asyncDispose](),
  };
}

const after = (reaction: Reaction, hook: () => Reaction | undefined): Reaction => hook() ?? reaction;

/** Kills the program when its `count`-th request or save comes, and returns when it is gone. */
async function killAt(step: 'before' | 'stored' | 'saved', count: number, destination: Destination, program: Program) {
  let seen = 0;
  const kill = (): Reaction | undefined => {
    seen += 1;
    if (seen < count) return undefined;
    program.child.kill('SIGKILL');
    return 'hang';
  };
  if (step === 'saved') {
    await program.until((stderr) => [...stderr.matchAll(isSave)].length >= count);
    program.child.kill('SIGKILL');
  } else destination.onRequest(step, kill);
  expect(await program.ended, program.stderr()).toBe('SIGKILL');
  destination.onRequest('before', () => undefined);
}

describe.each([
  ['s3', s3Destination],
  ['elasticsearch', elasticDestination],
])('after SIGKILL at every step of a delivery, %s', (_, start) => {
  it('has every event once and nothing missing', async () => {
    await using simulator = await startSimulator({ events: 300, rate: 150, key });
    await using destination = await start();
    const { file } = configure(simulator.url, { sinks: [destination.sink] });
    for (const step of ['before', 'stored', 'saved'] as const)
      for (const count of [1, 2, 3]) {
        const program = startProgram(['run', '-c', file], traced);
        await killAt(step, count, destination, program);
      }
    const last = startProgram(['once', '-c', file]);
    expect(await last.ended, last.stderr()).toBe(0);
    const ids = destination.stored().map((record) => Number(idOf(record)));
    const newest = Math.max(...ids);
    const expected = (simulator.generated?.page(0n, 1_000_000) ?? []).map((text) => Number(idOf(String(text))));
    expect(ids.toSorted((a, b) => a - b)).toEqual(expected.filter((id) => id <= newest));
    expect(ids.length).toBeGreaterThan(300);
  });
});

describe('a batch that is not full', () => {
  it('waits for the events of later polls as long as maxAge says, and not in `once`', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 20, key });
    await using s3 = await S3Server.start();
    const { file } = configure(simulator.url, { sinks: [s3Sink(s3, 'batch: { maxAge: 3500ms }')] });
    const program = startProgram(['run', '-c', file], traced);
    await expect.poll(() => s3.objects.length, { timeout: 30_000 }).toBe(2);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    // Polls come each second, so each object has the events of several.
    for (const { text } of s3.objects) expect(text.split('\n').length).toBeGreaterThan(20);
    const once = startProgram(['once', '-c', file]);
    expect(await once.ended, once.stderr()).toBe(0);
    const ids = s3.records.map((record) => Number(idOf(record)));
    expect(ids.length).toBe(new Set(ids).size);
    expect(s3.objects.length).toBeGreaterThan(2);
  });
});
