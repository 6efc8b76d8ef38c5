import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLine } from '../../../src/sinks/exec/protocol.ts';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { Sink, SinkDeps } from '../../../src/sinks/sink.ts';
import { startSimulator } from '../../../src/testing/simulator/server.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { configOf, load, problemsOf, withSink } from '../../support/configuration.ts';
import { startProgram } from '../../support/program.ts';
import { idOf, key, runs } from '../../support/runs.ts';
import { batchOf, recordOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { directory, configure } = runs();
const alive = new AbortController().signal;
const token = 'obviously-fake-token-1234';
const env = { QASPHERE_API_KEY: 'k', TOKEN: token };
const program = fileURLToPath(new URL('program.mjs', import.meta.url));

let count = 0;
/** A new directory in which the program works. */
function place(): string {
  const path = join(directory, `place-${++count}`);
  mkdirSync(path);
  return path;
}
const setMode = (at: string, mode: string) => writeFileSync(join(at, 'mode'), mode);
const linesOf = (at: string, name: string) =>
  existsSync(join(at, name)) ? readFileSync(join(at, name), 'utf8').split('\n').slice(0, -1) : [];
const commandFor = (at: string, ...more: string[]) =>
  `command: ${JSON.stringify([process.execPath, program, at, ...more])}`;

function open(lines: readonly string[], deps: SinkDeps = sinkDeps()) {
  const [sink] = configOf(load(withSink('type: exec', ...lines), env)).sinks;
  if (sink === undefined) throw new Error('no sink');
  return definitionOf(sink).open(sink, deps);
}

async function verdictOf(sink: Sink, first = 1, last = first) {
  const answer = await sink.send(batchOf(first, last), alive);
  return answer.kind === 'sent' ? answer.confirmed : answer;
}

sinkConformance(
  { describe, it },
  {
    name: 'exec',
    async start() {
      const at = place();
      return { at, [Symbol.asyncDispose]: async () => rmSync(at, { recursive: true, force: true }) };
    },
    open: ({ at }, deps) => open([commandFor(at), 'environment: { TOKEN: "${TOKEN}" }'], deps),
    arrivals: ({ at }) =>
      linesOf(at, 'arrived')
        .filter((text) => text.startsWith('{'))
        .map((text) => ({ text, isStatus: text.startsWith('{"forwarder":') })),
    secrets: [token],
    fail: ({ at }) => setMode(at, 'retry'),
    reject: ({ at }, id) => setMode(at, `reject ${id}`),
    stall: ({ at }) => setMode(at, 'silent'),
    recover: ({ at }) => setMode(at, ''),
  },
);

describe('the program of an exec sink', () => {
  it('gets hello with its options, then numbered batches, and close at the end', async () => {
    const at = place();
    {
      await using sink = open([commandFor(at), 'options: { queue: Q1, deep: { n: [1, true] } }']);
      expect(await verdictOf(sink, 1, 2)).toEqual({ kind: 'accepted' });
      expect(await verdictOf(sink, 3)).toEqual({ kind: 'accepted' });
    }
    expect(linesOf(at, 'lines').map((line) => JSON.parse(line))).toEqual([
      {
        type: 'hello',
        contract: 1,
        sink: 'hec',
        tenant: 'acme.eu1.qasphere.com',
        options: { queue: 'Q1', deep: { n: [1, true] } },
      },
      { type: 'batch', batch: 1, records: [1, 2].map((id) => ({ id: String(id), record: textOf(id) })) },
      { type: 'batch', batch: 2, records: [{ id: '3', record: textOf(3) }] },
      { type: 'close' },
    ]);
  });

  it('gets nothing of our environment but what is named, and PATH, HOME, LANG and TZ', async () => {
    const at = place();
    const variables = { PATH: '/bin', HOME: '/root', LANG: 'C', TZ: 'UTC', QASPHERE_API_KEY: 'k', NODE_OPTIONS: '' };
    await using sink = open([commandFor(at), 'environment: { TOKEN: "${TOKEN}" }'], sinkDeps({ env: variables }));
    expect(await sink.probe(alive)).toEqual({ kind: 'accepted' });
    const { __CF_USER_TEXT_ENCODING: _, ...environment } = JSON.parse(linesOf(at, 'environment')[0] ?? '{}');
    expect(environment).toEqual({ PATH: '/bin', HOME: '/root', LANG: 'C', TZ: 'UTC', TOKEN: token });
  });

  it('sets window and limits by what it says', async () => {
    const at = place();
    await using sink = open([commandFor(at, '{"type":"ready","contract":1,"window":4,"maxEvents":2,"maxBytes":2048}')]);
    await sink.probe(alive);
    expect([sink.window, sink.limits]).toEqual([4, { maxEvents: 2, maxBytes: 2048 }]);
    expect(await sink.send(batchOf(1, 3), alive)).toMatchObject({ kind: 'retry', narrow: true });
    const long = recordOf(textOf(1, `,"x":"${'y'.repeat(1_500)}"`));
    expect(await sink.send({ records: [long, long] }, alive)).toMatchObject({ kind: 'retry', narrow: true });
  });

  it('is started again after it ended, and what was unconfirmed is sent again', async () => {
    const at = place();
    await using sink = open([commandFor(at)]);
    setMode(at, 'die');
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'retry',
      detail: expect.stringMatching(/ended \(exit code 3\); it is started again$/),
    });
    setMode(at, '');
    expect(await verdictOf(sink)).toEqual({ kind: 'accepted' });
  });

  it.each([
    ['never-ready', /is not ready within 300 ms/],
    ['silent', /has no verdict on batch 1 within 300 ms/],
  ])('is ended if it is late: %s', async (mode, message) => {
    const at = place();
    setMode(at, mode);
    await using sink = open([commandFor(at), 'confirmWithin: 300ms']);
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'retry',
      reason: 'timeout',
      detail: expect.stringMatching(message),
    });
  });

  it('is killed at once when there is no time left, though it ignores SIGTERM', async () => {
    const at = place();
    setMode(at, 'ignore-sigterm');
    const forced = new AbortController();
    const sink = open([commandFor(at)]);
    const answer = await sink.send(batchOf(1), forced.signal);
    forced.abort(new Error('out of time'));
    await sink[Symbol.asyncDispose]();
    if (answer.kind === 'sent') await expect(answer.confirmed).rejects.toThrow('out of time');
  });

  it.each([
    ['hello', /sent a line that is not JSON/],
    ['[1]', /sent a line that is not an object/],
    ['{"type":"progress"}', /unknown type: progress/],
    ['{"type":"verdict","batch":9,"verdict":"accepted"}', /a batch that does not wait for one/],
    ['{"type":"verdict","batch":1,"verdict":"fine"}', /batch 1 of an unknown kind: fine/],
    ['{"type":"verdict","batch":1,"verdict":"reject","failedIndex":1}', /failedIndex is outside the batch/],
    ['{"type":"verdict","batch":1,"verdict":"retry","acceptedPrefix":2}', /acceptedPrefix is outside the batch/],
    ['{"type":"verdict","batch":1,"verdict":"retry","afterMs":-1}', /afterMs is invalid/],
  ])('is ended with a named error when it says %s', async (line, message) => {
    const at = place();
    await using sink = open([commandFor(at)]);
    setMode(at, `say ${line}`);
    expect(await verdictOf(sink)).toMatchObject({ kind: 'retry', detail: expect.stringMatching(message) });
  });

  it('parks the sink if it speaks another contract, naming both numbers', async () => {
    await using sink = open([commandFor(place(), '{"type":"ready","contract":2}')]);
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('speaks contract 2, this forwarder contract 1'),
    });
  });

  it('parks the sink if it can’t be started', async () => {
    await using sink = open(['command: [/no/such/program]']);
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'stop',
      reason: 'address',
      detail: expect.stringContaining("can't be started (ENOENT)"),
    });
  });

  it('parks the sink if its arguments are too long for the system', async () => {
    await using sink = open([`command: [/bin/true, "${'a'.repeat(200_000)}"]`]);
    expect(await verdictOf(sink)).toMatchObject({ kind: 'stop', detail: expect.stringContaining('(E2BIG)') });
  });

  it('does not hold up the next batch when one is given up', async () => {
    const at = place();
    await using sink = open([commandFor(at)]);
    await sink.probe(alive);
    setMode(at, 'silent');
    const forced = new AbortController();
    await sink.send(batchOf(1), forced.signal);
    await expect.poll(() => linesOf(at, 'lines')).toHaveLength(2);
    forced.abort(new Error('out of time'));
    setMode(at, '');
    let verdict = await verdictOf(sink, 2);
    // The program that is being ended may be met once more.
    if (verdict.kind === 'retry') verdict = await verdictOf(sink, 2);
    expect(verdict).toEqual({ kind: 'accepted' });
  });

  it('has its standard error in the log, without secrets', async () => {
    const at = place();
    const deps = sinkDeps();
    await using sink = open([commandFor(at), 'environment: { TOKEN: "${TOKEN}" }'], deps);
    setMode(at, 'stderr');
    await verdictOf(sink);
    await expect
      .poll(() => deps.heard)
      .toContainEqual({ event: 'sink.info', sink: 'hec', topic: 'stderr', detail: 'password [secret]' });
  });

  it('never breaks the reader, whatever it says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        expect(['ready', 'verdict', 'violation']).toContain(readLine(line, () => 1).type);
      }),
    );
  });
});

describe('the whole program with an exec sink', () => {
  it('delivers everything once over a stop, and the child ends with it', async () => {
    const at = place();
    await using simulator = await startSimulator({ events: 300, key });
    const { file } = configure(simulator.url, { sinks: [`{ type: exec, ${commandFor(at)} }`] });
    const once = startProgram(['once', '-c', file]);
    expect(await once.ended, once.stderr()).toBe(0);
    const ids = linesOf(at, 'arrived')
      .filter((text) => text.startsWith('{'))
      .map(idOf);
    const expected = (simulator.generated?.page(0n, 1_000) ?? []).map((text) => idOf(String(text)));
    expect(ids).toEqual(expected);
    expect(linesOf(at, 'arrived').at(-1)).toBe('close');
  });
});

describe('the options of the exec sink', () => {
  it.each([
    [['command: []'], /command: must name a program/],
    [['command: ""'], /command/],
    [['command: [a]', 'environment: { "a-b": c }'], /environment/],
    [['command: [a]', 'environment: { A: "" }'], /environment\.A: is empty/],
    [['command: [a]', 'confirmWithin: 1ms'], /confirmWithin/],
  ])('%j are refused by name', (lines, message) => {
    const found = problemsOf(load(withSink('type: exec', ...lines), env)).join('\n');
    expect(found).toMatch(message);
    expect(found).toMatch(/c\.yaml:\d+:\d+/);
  });
});
