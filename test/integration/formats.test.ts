import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type FormatName, formatNames } from '../../src/format/formats.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { parseCef } from '../support/cef.ts';
import { startHecServer } from '../support/hec-server.ts';
import { parseLeef } from '../support/leef.ts';
import { startProgram } from '../support/program.ts';
import { eventText, key, runs } from '../support/runs.ts';

const { configure } = runs();

const idMember = /"id" ?: ?(\d+)/;
const idOf = (text: string) => BigInt(idMember.exec(text)?.[1] ?? '');

/** Where each format carries the id, read without our encoders. */
const idIn: Readonly<Record<FormatName, (record: string) => string | undefined>> = {
  json: (record) => idMember.exec(record)?.[1],
  cef: (record) => parseCef(record).extension.get('externalId'),
  leef: (record) => parseLeef(record).attributes.get('eventId'),
  ecs: (record) => (JSON.parse(record) as { event: { id: string } }).event.id,
  ocsf: (record) => (JSON.parse(record) as { metadata: { uid: string } }).metadata.uid,
};

/** What `once` brings of this log: each format's records, json on stdout and the others to collectors of their own. */
async function drain(log: readonly string[]) {
  await using simulator = await startSimulator({ log: [...log], key });
  await using stack = new AsyncDisposableStack();
  const others = await Promise.all(
    formatNames
      .filter((format) => format !== 'json')
      .map(async (format) => ({ format, hec: stack.use(await startHecServer()) })),
  );
  const { file } = configure(simulator.url, {
    sinks: [
      '{ name: json, type: stdout }',
      ...others.map(
        ({ format, hec }) =>
          `{ name: ${format}, type: splunk-hec, format: ${format}, url: "${hec.url}", token: "${hec.token}" }`,
      ),
    ],
  });
  const program = startProgram(['once', '-c', file]);
  const code = await program.ended;
  const stderr = program.stderr();
  expect(code, stderr).toBe(0);
  const text = (raw: Buffer) => (raw[0] === 0x22 ? (JSON.parse(raw.toString()) as string) : raw.toString());
  const records = new Map<FormatName, string[]>(
    others.map(({ format, hec }) => [format, hec.events.map(({ raw }) => text(raw))]),
  );
  records.set('json', program.stdout().split('\n').slice(0, -1));
  const told = stderr.split('\n').filter((line) => line.startsWith('{'));
  return { records, told: told.map((line) => JSON.parse(line) as { event: string; news?: string[] }) };
}

const golden = readFileSync(new URL('../format/golden/events.ndjson', import.meta.url), 'utf8')
  .split('\n')
  .slice(0, -1);

describe('five sinks of five formats', () => {
  it('get the same events, each once and in order', async () => {
    await using generator = await startSimulator({ events: 3_000, key });
    const generated = generator.generated?.page(0n, 3_000) ?? [];
    const last = idOf(generated.at(-1) ?? '');
    const log = [...generated, ...golden.map((text) => text.replace(idMember, (own) => `"id":${last + idOf(own)}`))];
    const expected = log.map(idOf).sort((a, b) => (a < b ? -1 : 1));
    expect(expected).toHaveLength(3_040);
    const { records } = await drain(log);
    for (const format of formatNames)
      expect(
        records.get(format)?.map((record) => BigInt(idIn[format](record) ?? '')),
        format,
      ).toEqual(expected);
  });

  it('carry nesting of 100,000 levels', async () => {
    const deep = `${'{"a":['.repeat(50_000)}1.0${']}'.repeat(50_000)}`;
    const { records } = await drain([eventText(1), eventText(2, deep), eventText(3)]);
    for (const format of formatNames) {
      const came = records.get(format) ?? [];
      expect(came.map(idIn[format]), format).toEqual(['1', '2', '3']);
      if (format !== 'cef') expect(came[1]?.includes(deep), format).toBe(true);
    }
  });

  it('hear of drift and of unknown actions once, whatever the number of sinks', async () => {
    const odd = (id: number) =>
      eventText(id).replace('user.login', 'gizmo.frobnicated').replace('"ip"', '"severity":1,"ip"');
    const { told } = await drain([odd(1), eventText(2), odd(3)]);
    expect(told.filter(({ event }) => event === 'source.drift')).toMatchObject([
      { level: 'warn', fields: { 'unknown:severity': 2 }, firstSeen: ['unknown:severity'] },
    ]);
    expect(told.filter(({ event }) => event === 'source.unknown_actions')).toMatchObject([
      { level: 'info', actions: { 'gizmo.frobnicated': 2 }, firstSeen: ['gizmo.frobnicated'] },
    ]);
  });
});
