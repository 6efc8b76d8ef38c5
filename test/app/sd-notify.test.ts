import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SdNotify, type WatchdogStatus, watchdogStatusOf } from '../../src/app/sd-notify.ts';
import { unixDatagramSocket } from '../../src/lib/unix-datagram.ts';
import { Health } from '../../src/telemetry/health.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { scratch } from '../support/scratch.ts';
import { startOf } from '../support/telemetry-events.ts';
import { unixReceiver } from '../support/unix-receiver.ts';

const { directory } = scratch();
let sockets = 0;
const page = { event: 'source.page', after: 0n, events: 0, newEvents: 0, bytes: 2 } as const;

/** A daemon's notify and the systemd it talks to. */
async function supervised(env: Readonly<Record<string, string>> = {}, watchdog: Partial<WatchdogStatus> = {}) {
  const path = join(directory, `notify-${++sockets}`);
  const systemd = unixReceiver(path);
  const stop = new AbortController();
  const notify = await SdNotify.open({
    env: { NOTIFY_SOCKET: path, ...env },
    pid: 4711,
    stop: stop.signal,
    watchdog: { isAlive: () => true, status: () => 'splunk at 5, lag 0 s', ...watchdog },
  });
  return { systemd, stop, notify };
}

describe('the notification of systemd', () => {
  it('reports READY=1 with the first page that is read, and not before', async () => {
    const { systemd, notify } = await supervised();
    notify.handle(startOf('splunk'));
    notify.handle({ event: 'source.retry', reason: 'network', detail: 'refused', attempt: 1, waitMs: 1 });
    expect(systemd.take()).toEqual([]);
    notify.handle(page);
    notify.handle(page);
    expect(systemd.take()).toEqual(['READY=1', 'STATUS=splunk at 5, lag 0 s']);
  });

  it('reports at once why the program ends when the key is refused', async () => {
    const { systemd, notify } = await supervised({}, { status: () => 'no polls: answered 403.\n' });
    notify.handle({ event: 'source.refused', status: 403, detail: 'answered 403.', causes: [] });
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual(['STATUS=no polls: answered 403.\\u000a', 'STOPPING=1']);
  });

  it('reports STOPPING=1 at the signal, once', async () => {
    const { systemd, notify, stop } = await supervised();
    stop.abort();
    expect(systemd.take()).toEqual(['STOPPING=1']);
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual([]);
  });

  it('reports RELOADING=1 until the pipelines of the new configuration run', async () => {
    const { systemd, notify } = await supervised();
    notify.handle(page);
    systemd.take();
    expect(await notify.reload(async () => 'new')).toBe('new');
    expect(systemd.take()).toEqual([expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)]);
    notify.handle(page);
    expect(systemd.take()).toEqual([]);
    notify.handle(startOf('splunk'));
    expect(systemd.take()).toEqual(['READY=1']);
  });

  it('reports READY=1 again at once if the old configuration stays', async () => {
    const { systemd, notify } = await supervised();
    notify.handle(page);
    systemd.take();
    expect(await notify.reload(async () => undefined)).toBeUndefined();
    expect(systemd.take()).toEqual([expect.stringMatching(/^RELOADING=1/), 'READY=1']);
  });

  it('does not report READY=1 because of a reload before the first page', async () => {
    const { systemd, notify } = await supervised();
    await notify.reload(async () => undefined);
    await notify.reload(async () => 'new');
    notify.handle(startOf('splunk'));
    expect(systemd.take()).toEqual([]);
  });

  it('feeds the watchdog only while the loops make progress', async () => {
    let alive = true;
    const { systemd, notify } = await supervised(
      { WATCHDOG_USEC: '20000', WATCHDOG_PID: '4711' },
      { isAlive: () => alive },
    );
    await systemd.until((messages) => messages.length >= 3);
    alive = false;
    systemd.take();
    let asked = 0;
    const { systemd: other } = await supervised(
      { WATCHDOG_USEC: '20000' },
      {
        isAlive: () => {
          asked += 1;
          return true;
        },
      },
    );
    await other.until(() => asked >= 5);
    expect(systemd.take()).toEqual([]);
    notify[Symbol.dispose]();
  });

  it.each([{ WATCHDOG_PID: '1', WATCHDOG_USEC: '1000' }, { WATCHDOG_USEC: 'soon' }, { WATCHDOG_USEC: '0' }])(
    'does not feed a watchdog that waits for another process: %o',
    async (env) => {
      let asked = 0;
      const isAlive = () => {
        asked += 1;
        return true;
      };
      const { notify } = await supervised(env, { isAlive });
      const { systemd: clock } = await supervised({ WATCHDOG_USEC: '20000' });
      await clock.until((messages) => messages.length >= 3);
      notify[Symbol.dispose]();
      expect(asked).toBe(0);
    },
  );

  it('reaches an abstract socket', async () => {
    const name = `forwarder-test-${process.pid}`;
    using systemd = unixReceiver(`\0${name}`);
    const { notify } = await supervised({ NOTIFY_SOCKET: `@${name}` });
    notify.handle(page);
    expect(systemd.take()).toContain('READY=1');
  });

  it('sends READY=1 before later messages once a full queue has room', async () => {
    const { systemd, notify } = await supervised();
    using flood = await unixDatagramSocket();
    while (flood?.send(Buffer.from('x'), join(directory, `notify-${sockets}`)) === '');
    notify.handle(page);
    expect(systemd.take().every((message) => message === 'x')).toBe(true);
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual(['READY=1', 'STATUS=splunk at 5, lag 0 s', 'STOPPING=1']);
  });

  it('does nothing without NOTIFY_SOCKET', async () => {
    const notify = await SdNotify.open({
      env: { WATCHDOG_USEC: '1000' },
      pid: 1,
      stop: new AbortController().signal,
      watchdog: {
        isAlive: () => {
          throw new Error('asked');
        },
        status: () => {
          throw new Error('asked');
        },
      },
    });
    notify.handle(page);
    expect(await notify.reload(async () => 'new')).toBe('new');
    expect(notify.problem).toBeUndefined();
    notify[Symbol.dispose]();
  });
});

const begin: TelemetryEvent = startOf('splunk', 'siem');

/** The status line after the events of `before`, a minute, and the events of `then`. */
function lineAfter(before: readonly TelemetryEvent[], then: readonly TelemetryEvent[]): string {
  let nowMs = 0;
  const health = new Health(() => ({ epochMs: 1_700_000_000_000 + nowMs, monotonicMs: nowMs }));
  for (const event of before) health.handle(event);
  nowMs = 60_000;
  for (const event of then) health.handle(event);
  return watchdogStatusOf(health).status();
}

const saved = (sink: string, after: bigint): TelemetryEvent => ({
  event: 'checkpoint.saved',
  sink,
  after,
  elapsedMs: 1,
});

describe('the status line', () => {
  it('names the cursor of each sink, with a lag of 0 if everything is delivered', () => {
    expect(lineAfter([begin, page], [page, saved('splunk', 13n), saved('siem', 10n)])).toBe(
      'splunk at 13, lag 0 s; siem at 10, lag 0 s',
    );
  });

  it('names the error of a sink', () => {
    const parked: TelemetryEvent = {
      event: 'pipeline.parked',
      sink: 'siem',
      reason: 'auth',
      detail: 'bad certificate',
    };
    expect(lineAfter([begin, page], [saved('splunk', 13n), saved('siem', 10n), parked])).toBe(
      'splunk at 13, lag 0 s; siem at 10, lag 0 s: bad certificate',
    );
  });

  it('begins with the error of the source if polls fail, and counts the lag from the last good poll', () => {
    const refused: TelemetryEvent = { event: 'source.refused', status: 403, detail: 'answered 403.', causes: [] };
    expect(lineAfter([begin, page, saved('splunk', 13n)], [refused])).toBe(
      'answered 403.; splunk at 13, lag 60 s; siem not started',
    );
  });

  it('says before the first page that none was read', () => {
    expect(lineAfter([], [begin])).toBe(
      'no page of the audit log has been read yet; splunk not started; siem not started',
    );
  });
});
