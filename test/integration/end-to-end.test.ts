import { chmodSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startHecServer } from '../support/hec-server.ts';
import { covers, readCheckpoint, startProgram } from '../support/program.ts';
import { rsyslogMissing, startRsyslog } from '../support/rsyslog.ts';

const missing = rsyslogMissing();
const key = 'SIEM-LOG-ONLY-demo';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'end-to-end-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

interface Places {
  readonly source: string;
  readonly hec: string;
  readonly token: string;
  readonly syslogPort: number;
}

function configure({ source, hec, token, syslogPort }: Places, more = ''): string {
  const file = join(directory, 'config.yaml');
  writeFileSync(
    file,
    `
source: { url: "${source}", apiKey: ${key}, requestsPerSecond: 20, schedule: "* * * * * *" ${more} }
state: { directory: "${join(directory, 'state')}" }
sinks:
  - { name: splunk, type: splunk-hec, url: "${hec}", token: "${token}" }
  - { name: collector, type: syslog, address: "tcp://127.0.0.1:${syslogPort}" }
  - { name: console, type: stdout }
`,
  );
  chmodSync(file, 0o600);
  return file;
}

const out = () => join(directory, 'out.ndjson');
const state = () => join(directory, 'state');
const idsOf = (ndjson: string) =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => BigInt((JSON.parse(line) as { id: number }).id));

/** Ids that came more than once, and how often beyond the first. */
function doubles(ids: readonly bigint[]): number {
  return ids.length - new Set(ids).size;
}

describe.skipIf(missing !== undefined)(
  `from the API to three sinks${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('100,000 events reach HEC, a real rsyslog and a file in one run, once each and in order', async () => {
      await using simulator = await startSimulator({ events: 100_000, key });
      await using hec = await startHecServer();
      const rsyslog = await startRsyslog();
      try {
        const config = configure({ source: simulator.url, hec: hec.url, token: hec.token, syslogPort: rsyslog.port });
        const expected = simulator.generated?.page(0n, 200_000).map((text) => BigInt(JSON.parse(text).id)) ?? [];
        expect(expected).toHaveLength(100_000);
        const first = startProgram(['once', '-c', config], { stdoutFile: out() });
        expect(await first.ended, first.stderr()).toBe(0);

        const lines = await rsyslog.waitForLines(100_000, 60_000);
        const taken = {
          splunk: hec.events.map(({ raw }) => BigInt(JSON.parse(String(raw)).id)),
          collector: lines.map(({ msg }) => BigInt(JSON.parse(msg).id)),
          console: idsOf(first.stdout()),
        };
        for (const [sink, ids] of Object.entries(taken)) {
          expect(ids, sink).toEqual(expected);
          expect(covers(readCheckpoint(state(), sink), simulator.lastId()), sink).toBe(true);
        }

        const second = startProgram(['once', '-c', config], { stdoutFile: out() });
        expect(await second.ended, second.stderr()).toBe(0);
        expect(hec.count).toBe(100_000);
        expect(idsOf(second.stdout())).toHaveLength(100_000);
        expect(await rsyslog.lines()).toHaveLength(100_000);
      } finally {
        await rsyslog.stop();
      }
    });

    it('two sinks finish while the third is down, which gets everything when it is back', async () => {
      await using simulator = await startSimulator({ events: 5_000, key });
      await using hec = await startHecServer();
      const rsyslog = await startRsyslog();
      try {
        const config = configure({ source: simulator.url, hec: hec.url, token: hec.token, syslogPort: rsyslog.port });
        await rsyslog.terminate();
        const without = startProgram(['once', '-c', config, '--patience', '2s'], { stdoutFile: out() });
        expect(await without.ended).toBe(69);
        expect(hec.count).toBe(5_000);
        expect(idsOf(without.stdout())).toHaveLength(5_000);
        expect(without.stderr()).toContain('collector: gave up');
        await rsyslog.start();
        const withIt = startProgram(['once', '-c', config], { stdoutFile: out() });
        expect(await withIt.ended, withIt.stderr()).toBe(0);
        expect(await rsyslog.waitForLines(5_000)).toHaveLength(5_000);
        expect(hec.count).toBe(5_000);
        expect(idsOf(withIt.stdout())).toHaveLength(5_000);
      } finally {
        await rsyslog.stop();
      }
    });

    it('twenty SIGKILLs lose nothing and double at most what was in flight at each', async () => {
      await using simulator = await startSimulator({ events: 20_000, rate: 500, key });
      await using hec = await startHecServer();
      const rsyslog = await startRsyslog();
      try {
        const config = configure({ source: simulator.url, hec: hec.url, token: hec.token, syslogPort: rsyslog.port });
        const kills = 20;
        for (let round = 0; round < kills; round++) {
          const before = hec.count;
          const running = startProgram(['run', '-c', config], { stdoutFile: out() });
          // After it began to deliver, at a different point in each round.
          await hec.until(() => hec.count > before + ((round * 137) % 1_500));
          running.child.kill('SIGKILL');
          expect(await running.ended).toBe('SIGKILL');
        }
        const last = startProgram(['once', '-c', config], { stdoutFile: out() });
        expect(await last.ended, last.stderr()).toBe(0);
        // A kill can leave a torn line.
        const whole = last.stdout().split('\n').filter(isJson).join('\n');
        const taken = {
          splunk: hec.events.map(({ raw }) => BigInt(JSON.parse(String(raw)).id)),
          console: idsOf(whole),
          collector: (await rsyslog.lines()).map(({ msg }) => BigInt(JSON.parse(msg).id)),
        };
        // New events never end: none may be missing up to the last id that all three have.
        const [end = 0n] = Object.values(taken)
          .map((ids) => ids.at(-1) ?? 0n)
          .sort((x, y) => Number(x - y));
        expect(end).toBeGreaterThan(20_000n);
        const all = simulator.generated?.page(0n, 1_000_000).map((text) => BigInt(JSON.parse(text).id)) ?? [];
        const expected = all.filter((id) => id <= end);
        for (const [sink, ids] of Object.entries(taken)) {
          const came = new Set(ids);
          const missed = expected.filter((id) => !came.has(id));
          expect(missed, sink).toEqual([]);
        }
        // One batch of at most 1000 in flight where each is confirmed before the next.
        expect(doubles(taken.splunk)).toBeLessThanOrEqual(kills * 1_000);
        expect(doubles(taken.console)).toBeLessThanOrEqual(kills * 1_000);
      } finally {
        await rsyslog.stop();
      }
    });
  },
);
