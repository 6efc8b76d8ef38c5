import { describe, expect, it } from 'vitest';
import { Channel } from '../../../src/sinks/splunk-hec/channel.ts';
import type { Outcome } from '../../../src/sinks/splunk-hec/requests.ts';

const outcome = (status: number | undefined, cookiesChanged = false): Outcome => ({
  verdict: { kind: 'accepted' },
  reply: {},
  cookiesChanged,
  answer:
    status === undefined
      ? undefined
      : { kind: 'answer', status, headers: {}, body: Buffer.alloc(0), sentMs: 0, headersMs: 0, elapsedMs: 0 },
});

describe('a channel', () => {
  it('is left when it was idle so long that the collector may have forgotten it', () => {
    const channel = Channel.fresh(0);
    channel.note(outcome(200), 1_000);
    expect([channel.usable(120_999), channel.usable(121_000)]).toEqual([true, false]);
  });

  it('stays while something is open on it, since that is asked about', () => {
    const channel = Channel.fresh(0);
    channel.open.set(0, {} as never);
    expect(channel.usable(1e9)).toBe(true);
  });

  it.each([
    ['no answer', outcome(undefined)],
    ['500', outcome(500)],
    ['503', outcome(503)],
    ['another cookie than before', outcome(200, true)],
  ])('is left after %s', (_, after) => {
    const channel = Channel.fresh(0);
    channel.note(outcome(200, true), 0);
    expect(channel.usable(0)).toBe(true);
    channel.note(after, 0);
    expect(channel.usable(0)).toBe(false);
  });

  it('is left when an ackId is not greater than the last', () => {
    const channel = Channel.fresh(0);
    expect([0, 1, 5, 5].map((id) => channel.advances(id))).toEqual([true, true, true, false]);
    expect(channel.usable(0)).toBe(false);
  });
});
