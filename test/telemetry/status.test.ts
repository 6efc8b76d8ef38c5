import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { status } from '../../src/telemetry/status.ts';
import { askStatus, serveStatus } from '../../src/telemetry/status-socket.ts';
import { span, statusText } from '../../src/telemetry/status-text.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { HandClock } from '../support/hand-clock.ts';
import { scratch } from '../support/scratch.ts';

const { directory: state } = scratch();
let clock: HandClock;
let health: Health;
const handle = (...events: TelemetryEvent[]) => {
  for (const event of events) health.handle(event);
};
const id = 18_446_744_073_709_551_615n;

beforeEach(() => {
  clock = new HandClock();
  health = new Health(clock.read);
  const sinks = ['splunk', 'a-sink-with-a-name-as-long-as-it-may-be-written-in-a-file-1234567'];
  handle({ event: 'daemon.start', version: '1.2.3', sinks, pollEveryMs: 15_000, reload: false, restarted: sinks });
  handle({ event: 'source.page', after: 1n, events: 3, newEvents: 3, bytes: 9, serverAheadMs: -3_600_000 });
  handle({ event: 'checkpoint.saved', sink: 'splunk', after: id, elapsedMs: 1 });
  handle({ event: 'pipeline.delivered', sink: 'splunk', records: 3, last: id, elapsedMs: 1, lastAtMs: clock.epochMs });
  clock.pass(90_000);
});

describe('the status', () => {
  it('keeps every digit of an id', () => {
    expect(status(health).sinks[0]).toMatchObject({ cursor: String(id), last: String(id), state: 'ok', delivered: 3 });
  });

  it('shows since when a sink is parked, and why', () => {
    handle({ event: 'pipeline.parked', sink: 'splunk', reason: 'auth', detail: 'bad token' });
    clock.pass(60_000);
    expect(status(health).sinks[0]).toMatchObject({
      state: 'parked',
      lastError: {
        kind: 'parked',
        seconds: 60,
        reason: 'auth',
        detail: 'bad token',
        since: '2026-01-01T12:01:30.000Z',
      },
    });
  });
});

describe('the status table', () => {
  it('fits into 80 columns and escapes text from outside', () => {
    const detail = `\u001b[2J\u202e${'no '.repeat(200)}`;
    handle({ event: 'pipeline.retry', sink: 'splunk', reason: 'network', detail, attempt: 1, waitMs: 1 });
    handle({ event: 'source.retry', reason: 'server', detail, attempt: 1, waitMs: 1 });
    handle({ event: 'source.unreadable', after: id, detail });
    clock.pass(400_000);
    const text = statusText(status(health));
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).not.toMatch(/[\u001b\u202e]/);
    expect(text).toContain(String(id));
    expect(text).toContain('NOT READY');
    expect(text).toContain('source_unreadable');
  });

  it('reports a wrong local clock', () => {
    expect(statusText(status(health))).toContain('local clock 1h00m ahead');
  });

  it('shows durations in short form', () => {
    expect([0, 59.4, 61, 3_600, 90_000].map(span)).toEqual(['0s', '59s', '1m01s', '1h00m', '1d01h']);
  });
});

describe('the status socket', () => {
  it('answers each connection, replaces a socket left behind, and is accessible to its owner only', async () => {
    writeFileSync(join(state, 'status.sock'), 'left behind');
    await using _ = await serveStatus(state, () => status(health));
    expect(await askStatus(state)).toEqual(status(health));
    expect(statSync(join(state, 'status.sock')).mode & 0o777).toBe(0o600);
  });

  it('ignores its input', async () => {
    await using _ = await serveStatus(state, () => status(health));
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      connect(join(state, 'status.sock'))
        .setEncoding('utf8')
        .on('data', (chunk: string) => {
          text += chunk;
        })
        .on('error', () => {})
        .on('close', () => resolve(text))
        .end('x'.repeat(1_000_000));
    });
    expect(JSON.parse(answer)).toMatchObject({ format: 1 });
  });

  it('is absent if no daemon runs', async () => {
    expect(await askStatus(state)).toBeUndefined();
    await (await serveStatus(state, () => status(health)))[Symbol.asyncDispose]();
    expect(await askStatus(state)).toBeUndefined();
  });
});
