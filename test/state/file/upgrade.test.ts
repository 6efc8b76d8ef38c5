import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPendingAcks } from '../../../src/sinks/splunk-hec/pending-acks.ts';
import { version } from '../../../src/state/checkpoint-text.ts';
import { CheckpointFiles } from '../../../src/state/file/checkpoint-files.ts';
import { DeadLetterFile } from '../../../src/state/file/dead-letter-files.ts';
import type { Checkpoint } from '../../../src/state/store.ts';
import { auditEvent } from '../../support/audit-events.ts';

/** State directories as each version of the program left them. They are never changed: a new version adds its own. */
const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url));
const source = 'https://acme.eu1.qasphere.com';
const collector = 'https://splunk.example.com:8088';

/** What all of them contain: the state of one daemon. */
const splunk: Omit<Checkpoint, 'pendingAcks'> = {
  sink: 'splunk',
  source,
  after: 9007199254740993n,
  delivered: [
    [9007199254740995n, 9007199254740995n],
    [9007199254741002n, 9007199254741009n],
  ],
  startMs: Date.parse('2025-11-22T08:26:40Z'),
  refusedInRow: 3,
  newest: { id: 9007199254741009n, sha256: 'a'.repeat(64) },
};
const siem: Checkpoint = { sink: 'siem', source, after: 0n, delivered: [], refusedInRow: 0 };

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'upgrade-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const open = () =>
  new CheckpointFiles({
    directory: join(state, 'checkpoints'),
    source,
    emit: ({ event }) => emitted.push(event),
    now: () => 0,
  });
const emitted: string[] = [];

it('every version that was ever written has a fixture', async () => {
  expect((await readdir(fixtures)).sort()).toEqual(Array.from({ length: version }, (_, index) => `v${index + 1}`));
});

describe.each(Array.from({ length: version }, (_, index) => index + 1))('the state that version %i left', (from) => {
  beforeEach(() => cp(join(fixtures, `v${from}`), state, { recursive: true }));

  it('is read completely', async () => {
    const store = open();
    expect((await store.inspect()).map(({ sink }) => sink)).toEqual(['siem', 'splunk']);
    const { pendingAcks, ...rest } = (await store.load('splunk')) ?? {};
    expect(rest).toEqual(splunk);
    expect(await store.load('siem')).toEqual(siem);
    expect(readPendingAcks(collector, pendingAcks)).toMatchObject({
      channels: [{ open: [{ ackId: 7, ids: ['9007199254740996', ['9007199254740998', '9007199254741000']] }] }],
    });
    expect(emitted).toEqual([]);
  });

  it('is read from the generation before if the newest is lost', async () => {
    await rm(join(state, 'checkpoints', 'splunk.json'));
    expect(await open().load('splunk')).toMatchObject({ after: 9007199254740990n });
  });

  it('is written in the version of this program', async () => {
    const store = open();
    const loaded = await store.load('splunk');
    if (loaded !== undefined) await store.save({ ...loaded, after: loaded.after + 1n });
    expect(JSON.parse(await readFile(join(state, 'checkpoints', 'splunk.json'), 'utf8'))).toMatchObject({
      version,
      after: '9007199254740994',
    });
    expect(await store.load('splunk')).toEqual({ ...loaded, after: splunk.after + 1n });
  });

  it('still prevents that a dead letter is stored twice', async () => {
    const path = join(state, 'dead-letter', 'splunk.ndjson');
    const before = await readFile(path, 'utf8');
    const letters = new DeadLetterFile({ directory: join(state, 'dead-letter'), name: 'splunk', now: () => 0 });
    await letters.open(9007199254740990n);
    const event = (id: bigint, text = `{"id":${id}}`) => auditEvent(text, id);
    const there = before.slice(before.lastIndexOf('{"id":9007199254740991'), before.lastIndexOf('}'));
    await letters.append({ sink: 'splunk', reason: 'malformed: x', event: event(9007199254740991n, there) });
    expect(await readFile(path, 'utf8')).toBe(before);
    await letters.append({ sink: 'splunk', reason: 'malformed: x', event: event(9007199254740992n) });
    expect(await readFile(path, 'utf8')).toMatch(/"event":\{"id":9007199254740992\}\}\n$/);
  });
});
