import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clockFinding } from '../../src/cli/check/clock.ts';
import { checkState } from '../../src/cli/check/state.ts';
import { testEvent } from '../../src/cli/check/test-event.ts';
import { certificateFinding } from '../../src/lib/certificate.ts';
import type { HttpAnswer } from '../../src/lib/http.ts';
import { CheckpointFiles } from '../../src/state/file/checkpoint-files.ts';
import { examineState } from '../../src/state/file/state-directory.ts';
import { StateProblem } from '../../src/state/store.ts';
import { configOf, load } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { directory } = scratch();
const tenant = 'https://acme.eu1.qasphere.com';
const day = 86_400_000;
const nowMs = Date.UTC(2026, 10, 24);

describe('the clock', () => {
  const answer = (date: string | undefined): HttpAnswer => ({
    kind: 'answer',
    status: 200,
    headers: date === undefined ? {} : { date },
    body: Buffer.alloc(0),
    sentMs: 10,
    headersMs: 250,
    elapsedMs: 300,
  });
  const second = (ms: number) => new Date(ms).toUTCString();

  it('agrees if the Date, cut to the second, allows it', () => {
    for (const off of [-999 + 10, 0, 250]) expect(clockFinding(answer(second(nowMs)), nowMs - off).result).toBe('ok');
    expect(clockFinding(answer(second(nowMs)), nowMs).detail).toMatch(/agrees/);
  });

  it('is reported ahead or behind by the difference that is certain', () => {
    const behind = clockFinding(answer(second(nowMs)), nowMs - 60_000);
    expect(behind).toMatchObject({ result: 'warning', detail: expect.stringContaining('behind the server by 59.8 s') });
    const ahead = clockFinding(answer(second(nowMs)), nowMs + 60_000);
    expect(ahead).toMatchObject({
      result: 'warning',
      detail: expect.stringContaining('ahead of the server by 59.0 s'),
    });
  });

  it('is unknown if the server sends no Date header', () => {
    expect(clockFinding(answer(undefined), nowMs).result).toBe('warning');
    expect(clockFinding(answer('gibberish'), nowMs).result).toBe('warning');
  });
});

it.each([
  [-1, 'failed'],
  [3, 'warning'],
  [21, 'warning'],
  [22, 'ok'],
])('a certificate that ends in %i days is %s', (days, result) => {
  const validity = { fromMs: nowMs - 365 * day, toMs: nowMs + days * day };
  expect(certificateFinding('TLS', validity, 'them', nowMs)).toMatchObject({ result });
});

it('a certificate that is not valid yet fails, and a missing one is skipped', () => {
  const validity = { fromMs: nowMs + day, toMs: nowMs + 90 * day };
  expect(certificateFinding('TLS', validity, 'them', nowMs)).toMatchObject({ result: 'failed' });
  expect(certificateFinding('TLS', undefined, 'them', nowMs)).toMatchObject({ result: 'skipped' });
});

describe('the state directory', () => {
  const configured = (state: string) =>
    configOf(
      load(`source: { url: "${tenant}", apiKey: a-key }\nstate: { directory: "${state}" }\nsinks:\n  - type: stdout\n`),
    );
  const made = (name: string, mode = 0o700) => {
    const path = join(directory, name);
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
    return path;
  };
  const of = async (state: string) => {
    const { findings } = await checkState(configured(state), { emit: () => {}, now: () => nowMs });
    return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
  };

  it('is examined without making it, however deep it would lie', async () => {
    const inside = made('empty');
    expect(await examineState(join(inside, 'a', 'b'))).toEqual({ parent: inside });
    expect(await examineState(inside)).toBeUndefined();
    expect(readdirSync(inside)).toEqual([]);
    writeFileSync(join(inside, 'file'), '');
    for (const path of [join(inside, 'file'), join(inside, 'file', 'a')])
      await expect(examineState(path), path).rejects.toThrow(StateProblem);
  });

  it('that everyone can write to is refused', async () => {
    expect((await of(made('open', 0o707)))['state directory']).toMatchObject({ result: 'failed', failure: 'state' });
  });

  it('tells of checkpoints: good ones, the generation before, of sinks that are gone, of another tenant', async () => {
    const state = made('checkpoints');
    const checkpoints = join(state, 'checkpoints');
    const store = (source: string) =>
      new CheckpointFiles({ directory: checkpoints, source, emit: () => {}, now: () => nowMs });
    const save = async (sink: string, source = tenant) =>
      store(source).save({ sink, source, after: 5n, delivered: [], refusedInRow: 0 });
    expect((await of(state))['checkpoints']).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('first start'),
    });
    await save('stdout');
    expect((await of(state))['checkpoints']).toMatchObject({ result: 'ok' });
    await save('renamed');
    expect((await of(state))['checkpoints']).toMatchObject({
      result: 'warning',
      detail: expect.stringContaining('renamed'),
    });
    await save('stdout');
    writeFileSync(join(checkpoints, 'stdout.json'), 'x');
    expect((await of(state))['checkpoints']).toMatchObject({
      result: 'warning',
      detail: expect.stringContaining('damaged'),
    });
    await save('stdout', 'https://other.eu1.qasphere.com');
    expect((await of(state))['checkpoints']).toMatchObject({ result: 'failed', failure: 'config' });
  });
});

it('the test event can not be mistaken for an event of the audit log', () => {
  const { id, text } = testEvent('1.2.3', nowMs);
  const _value = JSON.parse(text.toString());
  expect(id).toBe(0n);
  expect(text.toString()).toMatch(/TEST EVENT.*not part of the audit log/);
});
