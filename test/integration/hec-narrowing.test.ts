import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { type HecServerOptions, startHecServer } from '../support/hec-server.ts';
import { startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';

const { configure } = runs();
const events = 120;

/** What `once` delivers to a collector, and dead-letters. */
async function deliver(server: HecServerOptions, more = '') {
  await using simulator = await startSimulator({ events, key });
  await using hec = await startHecServer(server);
  const { file, state } = configure(simulator.url, {
    sinks: [`{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", compression: none${more} }`],
  });
  const program = startProgram(['once', '-c', file]);
  const code = await program.ended;
  const deadLetters = () => readFileSync(join(state, 'dead-letter', 'splunk.ndjson'), 'utf8');
  return {
    code,
    ids: hec.events.map(({ raw }) => idOf(String(raw))),
    all: (simulator.generated?.page(0n, 1_000) ?? []).map(idOf),
    stderr: program.stderr(),
    deadLetters,
  };
}

const linesIn = (body: Buffer) => body.toString().trimEnd().split('\n').length;

describe('a HEC batch', () => {
  it.each(['false', 'true'])(
    'of which a firewall refuses one event is delivered but for that event (acknowledgement: %s)',
    async (acknowledgement) => {
      const guilty = 77;
      const { code, ids, all, stderr, deadLetters } = await deliver(
        {
          tokenState: acknowledgement === 'true' ? 'ack' : 'good',
          fault: ({ body }) =>
            body().includes(`"id":${guilty},`) ? { status: 403, body: '<h1>Request rejected</h1>' } : undefined,
        },
        `, acknowledgement: ${acknowledgement}`,
      );
      expect(code, stderr).toBe(0);
      expect(all).toContain(guilty);
      expect(ids).toEqual(all.filter((id) => id !== guilty));
      const lines = deadLetters().trimEnd().split('\n');
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain(`"id":${guilty},`);
    },
  );

  it.each(['hang-before', 'reset-before'] as const)(
    'that is too large for the connection is sent in smaller ones, and doubles nothing (%s)',
    async (fault) => {
      const { code, ids, all, stderr } = await deliver(
        { fault: ({ kind, body }) => (kind === 'data' && linesIn(body()) > 40 ? fault : undefined) },
        ', acknowledgement: false, timeout: 1s',
      );
      expect(code, stderr).toBe(0);
      expect(ids).toEqual(all);
    },
  );

  it('that every proxy answer refuses stops the sink, and dead-letters nothing', async () => {
    const { code, ids, stderr, deadLetters } = await deliver(
      { fault: () => ({ status: 403, body: '<h1>Forbidden</h1>' }) },
      ', acknowledgement: false',
    );
    expect(code, stderr).toBe(69);
    expect(ids).toEqual([]);
    expect(deadLetters()).toBe('');
  });
});
