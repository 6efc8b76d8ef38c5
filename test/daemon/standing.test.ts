import { describe, expect, it } from 'vitest';
import { Standing } from '../../src/daemon/standing.ts';

describe('the status line', () => {
  const page = { event: 'source.page', after: 0n, events: 0, fresh: 0, bytes: 2 } as const;
  const start = (sink: string) =>
    ({ event: 'route.start', sink, after: 10n, cursor: 10n, from: 'checkpoint' }) as const;

  function secondsLater(seconds: number) {
    let nowMs = 0;
    const standing = new Standing(() => nowMs);
    standing.observe(page);
    standing.observe(start('splunk'));
    standing.observe(start('siem'));
    nowMs = seconds * 1000;
    return standing;
  }

  it('names each cursor, and no lag where everything is delivered', () => {
    const standing = secondsLater(60);
    standing.observe({ event: 'route.poll', sink: 'splunk', fresh: 3 });
    standing.observe({ event: 'route.filtered', sink: 'splunk', events: 1 });
    standing.observe({ event: 'route.set_aside', sink: 'splunk', id: 12n, reason: 'malformed', detail: 'x' });
    standing.observe({ event: 'route.delivered', sink: 'splunk', records: 1, last: 13n, elapsedMs: 1 });
    standing.observe({ event: 'checkpoint.saved', sink: 'splunk', after: 13n, elapsedMs: 1 });
    expect(standing.status()).toBe('splunk at 13, lag 0 s; siem at 10, lag 0 s');
  });

  it('counts the seconds since a sink had everything, and says what is wrong', () => {
    const standing = secondsLater(60);
    standing.observe({ event: 'route.poll', sink: 'splunk', fresh: 3 });
    standing.observe({ event: 'route.parked', sink: 'siem', reason: 'auth', detail: 'bad certificate' });
    expect(standing.status()).toBe('splunk at 10, lag 60 s; siem at 10, lag 60 s: bad certificate');
    standing.observe({ event: 'route.unparked', sink: 'siem', outageMs: 1 });
    expect(standing.status()).toBe('splunk at 10, lag 60 s; siem at 10, lag 0 s');
  });

  it('says that polls fail, for every sink', () => {
    const standing = secondsLater(30);
    standing.observe({ event: 'source.refused', status: 403, detail: 'answered 403.', causes: [] });
    expect(standing.status()).toBe('no polls: answered 403.; splunk at 10, lag 30 s; siem at 10, lag 30 s');
    standing.observe(page);
    expect(standing.status()).toBe('splunk at 10, lag 0 s; siem at 10, lag 0 s');
  });

  it('has something to say before there is anything', () => {
    expect(new Standing(() => 0).status()).toBe('waiting for the first poll');
  });
});
