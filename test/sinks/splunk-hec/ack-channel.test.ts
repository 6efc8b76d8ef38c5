import { describe, expect, it } from 'vitest';
import { Channel } from '../../../src/sinks/splunk-hec/ack-channel.ts';
import type { Outcome } from '../../../src/sinks/splunk-hec/requests.ts';

const outcome = (status: number | undefined, cookiesChanged = false): Outcome => ({
  verdict: { kind: 'accepted' },
  reply: {},
  cookiesChanged,
  isUncounted: false,
  answer:
    status === undefined
      ? undefined
      : { kind: 'answer', status, headers: {}, body: Buffer.alloc(0), sentMs: 0, headersMs: 0, elapsedMs: 0 },
});

describe('a channel', () => {
  it('is retired when it was idle for so long that the collector may have dropped it', () => {
    const channel = Channel.open(0);
    channel.record(outcome(200), 1_000);
    expect([channel.isUsable(120_999), channel.isUsable(121_000)]).toEqual([true, false]);
  });

  it('stays usable while something is pending on it, since that is asked about', () => {
    const channel = Channel.open(0);
    channel.pending.set(0, {} as never);
    expect(channel.isUsable(1e9)).toBe(true);
  });

  it.each([
    ['no answer', outcome(undefined)],
    ['500', outcome(500)],
    ['503', outcome(503)],
    ['a changed cookie', outcome(200, true)],
  ])('is retired after %s', (_, after) => {
    const channel = Channel.open(0);
    channel.record(outcome(200, true), 0);
    expect(channel.isUsable(0)).toBe(true);
    channel.record(after, 0);
    expect(channel.isUsable(0)).toBe(false);
  });

  it('is retired when an ackId is not above the last one', () => {
    const channel = Channel.open(0);
    expect([0, 1, 5, 5].map((id) => channel.advance(id))).toEqual([true, true, true, false]);
    expect(channel.isUsable(0)).toBe(false);
  });
});
