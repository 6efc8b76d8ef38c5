import { startHecServer } from '../support/hec-server.ts';
import { type Checks, holds, pause, until } from './checks.ts';
import type { Machine } from './machine.ts';
import { allArrived, firstKey, type Peers } from './peers.ts';

export const unit = 'qasphere-siem-forwarder.service';
export const etc = '/etc/qasphere-siem-forwarder';
export const state = '/var/lib/private/qasphere-siem-forwarder';
const secondKey = 'SIEM-LOG-ONLY-second';

/** Short times, and a way to freeze the event loop from outside. */
const dropIn = `[Service]
RestartSec=200ms
WatchdogSec=3s
Environment=NODE_OPTIONS=--require=/usr/local/lib/freeze.cjs
`;
const freeze = "process.on('SIGUSR2', () => { for (;;); });\n";

export const configuration = ({ simulator, hec }: Peers, more = '') => `
source: { url: "${simulator.url}", schedule: "* * * * * *", requestsPerSecond: 20 }
sinks:
  - { name: splunk, type: splunk-hec, url: "${hec.url}" ${more} }
`;

export async function setUp(machine: Machine, peers: Peers): Promise<void> {
  await machine.do(`mkdir -p /etc/systemd/system/${unit}.d`);
  await machine.write('/usr/local/lib/freeze.cjs', freeze);
  await machine.write(`/etc/systemd/system/${unit}.d/test.conf`, dropIn);
  await machine.write('/etc/credstore/qasphere-api-key', firstKey, '0600');
  await machine.write('/etc/credstore/splunk-hec-token', peers.hec.token, '0600');
  await machine.write(`${etc}/config.yaml`, configuration(peers), '0640', 'qasphere-siem-forwarder');
  await machine.do('systemctl daemon-reload');
}

const journal = (machine: Machine, more = '') => machine.do(`journalctl -u ${unit} -o cat ${more}`);

export const activeAgain = (machine: Machine, before: Readonly<Record<string, string>>, timeoutMs = 20_000) =>
  until(
    async () => {
      const now = await machine.show(unit);
      return now['ActiveState'] === 'active' && now['InvocationID'] !== before['InvocationID'] && now;
    },
    async () => JSON.stringify(await machine.show(unit)),
    timeoutMs,
  );

/** The unit, from its first start to a failure that needs an administrator. Leaves it failed. */
export async function checkUnit(checks: Checks, machine: Machine, peers: Peers): Promise<void> {
  const { simulator } = peers;

  await checks.check('the unit turns active only after the first good poll', async () => {
    simulator.setFaults([{ kind: '503', share: 1 }]);
    await machine.do(`systemctl start --no-block ${unit}`);
    await until(
      () => simulator.requestCount >= 3,
      () => journal(machine),
    );
    const before = await machine.show(unit);
    holds(before['ActiveState'] === 'activating', `${before['ActiveState']} although no poll was good`);
    simulator.setFaults([]);
    await activeAgain(machine, {});
    await allArrived(peers);
    holds(peers.doubles() === 0, `${peers.doubles()} events came twice`);
  });

  await checks.check('its status line shows cursor and lag', async () => {
    const told = async () => (await machine.show(unit))['StatusText'] ?? '';
    await until(async () => /^splunk at \d+, lag \d+ s$/.test(await told()), told);
  });

  await checks.check('warnings are warnings in the journal', async () => {
    const lines = await journal(machine, '-p warning');
    holds(/"level":"warn".*503/.test(lines), `no warning of the 503 among: ${lines.slice(0, 300)}`);
    holds(!/"level":"info"/.test(lines), 'an info line has the priority of a warning');
  });

  await checks.check('kill -9 with a batch in flight leads to a restart without loss', async () => {
    const before = await inFlight(machine, peers);
    await machine.do(`systemctl kill -s KILL --kill-whom=main ${unit}`);
    await restarted(machine, peers, before);
  });

  await checks.check('a frozen event loop leads to a restart by the watchdog, without loss', async () => {
    const before = await inFlight(machine, peers);
    await machine.do(`systemctl kill -s USR2 --kill-whom=main ${unit}`);
    await restarted(machine, peers, before);
    holds(/[Ww]atchdog timeout/.test(await journal(machine)), 'the journal reports no watchdog timeout');
  });

  await checks.check('a reload takes a new sink, and the old one loses and doubles nothing', () =>
    reload(machine, peers),
  );
  await checks.check('a reload takes a rotated token from its file', () => rotatedToken(machine, peers));

  await checks.check('an invalid configuration is refused at a reload, and the old one stays', async () => {
    const before = await machine.show(unit);
    await machine.write(`${etc}/config.yaml`, 'source: { urll: x }\n', '0640', 'qasphere-siem-forwarder');
    await machine.do(`systemctl reload ${unit}`);
    await until(
      async () => /the old configuration stays.*urll/.test(await journal(machine)),
      () => journal(machine, '-n 5'),
    );
    await allArrived(peers);
    await machine.write(`${etc}/config.yaml`, configuration(peers), '0640', 'qasphere-siem-forwarder');
    const after = await machine.show(unit);
    holds(after['ActiveState'] === 'active' && after['MainPID'] === before['MainPID'], JSON.stringify(after));
  });

  await checks.check('a restart takes a rotated credential, without loss', async () => {
    const before = await machine.show(unit);
    await machine.write('/etc/credstore/qasphere-api-key', secondKey, '0600');
    await machine.write('/etc/credstore/splunk-hec-token', peers.hec.token, '0600');
    simulator.setKey(secondKey);
    await machine.do(`systemctl restart ${unit}`);
    await activeAgain(machine, before);
    await allArrived(peers);
  });

  await checks.check('a full state volume is reported and recovered from', () => fullVolume(machine, peers));

  await checks.check('stop takes under 10 s, also with a request that hangs', async () => {
    peers.fault = 'hang-before';
    const asked = peers.hec.requests.length;
    await until(
      () => peers.hec.requests.length > asked,
      () => 'nothing was sent',
    );
    const startMs = performance.now();
    await machine.do(`systemctl stop ${unit}`);
    const tookMs = performance.now() - startMs;
    peers.fault = undefined;
    const { Result, ExecMainStatus } = await machine.show(unit);
    holds(Result === 'success' && ExecMainStatus === '0', `${Result}, exit status ${ExecMainStatus}`);
    holds(tookMs < 10_000, `it took ${Math.round(tookMs)} ms`);
    await machine.do(`systemctl start ${unit}`);
    await allArrived(peers);
  });

  await checks.check('a 403 ends in failed with exit status 77, and no restart', async () => {
    const before = await machine.show(unit);
    simulator.setFaults([{ kind: '403', share: 1 }]);
    const told = async () => JSON.stringify(await machine.show(unit));
    await until(async () => (await machine.show(unit))['ActiveState'] === 'failed', told);
    // Ten times RestartSec.
    await pause(2_000);
    const { ActiveState, ExecMainStatus, NRestarts, StatusText = '' } = await machine.show(unit);
    holds(ActiveState === 'failed' && ExecMainStatus === '77' && NRestarts === before['NRestarts'], await told());
    holds(/403/.test(StatusText), `the status says: ${StatusText}`);
    simulator.setFaults([]);
  });
}

/** Waits until a batch is taken by the collector and not answered. */
async function inFlight(machine: Machine, peers: Peers): Promise<Readonly<Record<string, string>>> {
  peers.fault = 'hang-after';
  const kept = peers.hec.count;
  await until(
    () => peers.hec.count > kept,
    () => 'nothing was sent',
  );
  return machine.show(unit);
}

/** Running again, with everything, and nothing twice but the one batch that was in flight. */
async function restarted(machine: Machine, peers: Peers, before: Readonly<Record<string, string>>): Promise<void> {
  const doubles = peers.doubles();
  const { events = 0 } = peers.hec.requests.findLast(({ kind }) => kind === 'data') ?? {};
  peers.fault = undefined;
  await activeAgain(machine, before);
  await allArrived(peers);
  const twice = peers.doubles() - doubles;
  holds(twice > 0 && twice <= events, `${twice} events came twice, ${events} were in flight`);
}

async function reload(machine: Machine, peers: Peers): Promise<void> {
  await using second = await startHecServer();
  const doubles = peers.doubles();
  const before = await machine.show(unit);
  const more = `  - { name: second, type: splunk-hec, url: "${second.url}", token: "${second.token}" }\n`;
  await machine.write(`${etc}/config.yaml`, configuration(peers) + more, '0640', 'qasphere-siem-forwarder');
  const upTo = peers.simulator.lastId();
  await machine.do(`systemctl reload ${unit}`);
  await until(
    () => second.count >= upTo,
    async () => `${second.count} of ${upTo} events came to the new sink: ${await journal(machine, '-n 5')}`,
  );
  await allArrived(peers);
  holds(peers.doubles() === doubles, `${peers.doubles() - doubles} events came twice`);
  const after = await machine.show(unit);
  holds(after['MainPID'] === before['MainPID'] && after['ActiveState'] === 'active', JSON.stringify(after));
}

async function rotatedToken(machine: Machine, peers: Peers): Promise<void> {
  const file = `${etc}/hec-token`;
  await machine.write(file, peers.hec.token, '0640', 'qasphere-siem-forwarder');
  const named = configuration(peers, `, tokenFile: "${file}"`);
  await machine.write(`${etc}/config.yaml`, named, '0640', 'qasphere-siem-forwarder');
  await machine.do(`systemctl reload ${unit}`);
  await allArrived(peers);
  peers.hec.renew('11111111-2222-3333-4444-555555555555');
  await until(
    async () => /"event":"pipeline.parked"/.test(await journal(machine)),
    () => journal(machine, '-n 5'),
  );
  await machine.write(file, peers.hec.token, '0640', 'qasphere-siem-forwarder');
  await machine.do(`systemctl reload ${unit}`);
  await allArrived(peers);
}

/** The state on a separate, minimal file system that fills up. */
async function fullVolume(machine: Machine, peers: Peers): Promise<void> {
  await machine.do(
    `systemctl stop ${unit} && mkdir -p /run/small && mount -t tmpfs -o size=512k tmpfs /run/small &&
     cp -a ${state}/. /run/small && chown --reference=${state} /run/small && chmod 0700 /run/small &&
     mount --bind /run/small ${state} && systemctl start ${unit}`,
  );
  await allArrived(peers);
  await machine.exec(`cat /dev/zero >${state}/filler`);
  await until(
    async () => /"event":"checkpoint.retry"/.test(await journal(machine, '-p err')),
    () => journal(machine, '-n 5'),
  );
  const told = async () => (await machine.show(unit))['StatusText'] ?? '';
  await until(async () => /space|ENOSPC/.test(await told()), told);
  const { ActiveState } = await machine.show(unit);
  holds(ActiveState === 'active', `it is ${ActiveState}`);
  await machine.do(`rm ${state}/filler`);
  await allArrived(peers);
  await machine.do(
    `systemctl stop ${unit} && umount ${state} && cp -a /run/small/. ${state} && umount /run/small && systemctl start ${unit}`,
  );
  await allArrived(peers);
}
