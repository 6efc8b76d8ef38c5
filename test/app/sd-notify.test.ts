import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SdNotify, type WatchdogStatus } from '../../src/app/sd-notify.ts';
import { unixDatagramSocket } from '../../src/lib/unix-datagram.ts';
import { scratch } from '../support/scratch.ts';
import { startOf } from '../support/telemetry-events.ts';
import { unixReceiver } from '../support/unix-receiver.ts';

const { directory } = scratch();
let sockets = 0;
const page = { event: 'source.page', after: 0n, events: 0, newEvents: 0, bytes: 2 } as const;

/** A daemon's notify and the systemd it talks to. */
async function supervised(env: Readonly<Record<string, string>> = {}, vitals: Partial<WatchdogStatus> = {}) {
  const path = join(directory, `notify-${++sockets}`);
  const systemd = unixReceiver(path);
  const stop = new AbortController();
  const notify = await SdNotify.open({
    env: { NOTIFY_SOCKET: path, ...env },
    pid: 4711,
    stop: stop.signal,
    vitals: { isAlive: () => true, status: () => 'splunk at 5, lag 0 s', ...vitals },
  });
  return { systemd, stop, notify };
}

describe('a daemon under systemd', () => {
  it('is ready with the first page that was read, and not before', async () => {
    const { systemd, notify } = await supervised();
    notify.emit(startOf('splunk'));
    notify.emit({ event: 'source.retry', reason: 'network', detail: 'refused', attempt: 1, waitMs: 1 });
    expect(systemd.take()).toEqual([]);
    notify.emit(page);
    notify.emit(page);
    expect(systemd.take()).toEqual(['READY=1', 'STATUS=splunk at 5, lag 0 s']);
  });

  it('says at once why it ends when the key is refused', async () => {
    const { systemd, notify } = await supervised({}, { status: () => 'no polls: answered 403.\n' });
    notify.emit({ event: 'source.refused', status: 403, detail: 'answered 403.', causes: [] });
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual(['STATUS=no polls: answered 403.\\u000a', 'STOPPING=1']);
  });

  it('says STOPPING=1 at the signal, once', async () => {
    const { systemd, notify, stop } = await supervised();
    stop.abort();
    expect(systemd.take()).toEqual(['STOPPING=1']);
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual([]);
  });

  it('is reloading until the routes of the new configuration run', async () => {
    const { systemd, notify } = await supervised();
    notify.emit(page);
    systemd.take();
    expect(notify.reload(() => 'new')).toBe('new');
    expect(systemd.take()).toEqual([expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)]);
    notify.emit(page);
    expect(systemd.take()).toEqual([]);
    notify.emit(startOf('splunk'));
    expect(systemd.take()).toEqual(['READY=1']);
  });

  it('is ready again at once where the old configuration stays', async () => {
    const { systemd, notify } = await supervised();
    notify.emit(page);
    systemd.take();
    expect(notify.reload(() => undefined)).toBeUndefined();
    expect(systemd.take()).toEqual([expect.stringMatching(/^RELOADING=1/), 'READY=1']);
  });

  it('does not call itself ready through a reload before the first page', async () => {
    const { systemd, notify } = await supervised();
    notify.reload(() => undefined);
    notify.reload(() => 'new');
    notify.emit(startOf('splunk'));
    expect(systemd.take()).toEqual([]);
  });

  it('feeds the watchdog while the loops move, and only then', async () => {
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
    'leaves a watchdog alone that is not its own: %o',
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
    notify.emit(page);
    expect(systemd.take()).toContain('READY=1');
  });

  it('keeps READY=1 while the queue is full, and says it before what came later', async () => {
    const { systemd, notify } = await supervised();
    using flood = await unixDatagramSocket();
    while (flood?.send(Buffer.from('x'), join(directory, `notify-${sockets}`)) === '');
    notify.emit(page);
    expect(systemd.take().every((message) => message === 'x')).toBe(true);
    notify[Symbol.dispose]();
    expect(systemd.take()).toEqual(['READY=1', 'STATUS=splunk at 5, lag 0 s', 'STOPPING=1']);
  });

  it('leaves systemd alone where there is none', async () => {
    const notify = await SdNotify.open({
      env: { WATCHDOG_USEC: '1000' },
      pid: 1,
      stop: new AbortController().signal,
      vitals: {
        isAlive: () => {
          throw new Error('asked');
        },
        status: () => {
          throw new Error('asked');
        },
      },
    });
    notify.emit(page);
    expect(notify.reload(() => 'new')).toBe('new');
    expect(notify.problem).toBeUndefined();
    notify[Symbol.dispose]();
  });
});
