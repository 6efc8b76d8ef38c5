import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Checks, holds, until } from './checks.ts';
import { runCommand } from './commands.ts';
import type { Machine } from './machine.ts';
import { allArrived, firstKey, type Peers, startPeers } from './peers.ts';
import { activeAgain, configuration, etc, state, unit } from './systemd.ts';

const name = 'qasphere-siem-forwarder';
const highestExposure = 1.5;

/** A package just installed, before anything is configured. */
export async function checkFreshPackage(checks: Checks, machine: Machine): Promise<void> {
  await checks.check('the package enables the unit, which does not start unconfigured and says why', async () => {
    const said = () => machine.do(`journalctl -u ${unit} -o cat -p warning`);
    await until(async () => /not configured yet.*config\.yaml/.test(await said()), said);
    const { ActiveState } = await machine.show(unit);
    const enabled = await machine.do(`systemctl is-enabled ${unit}`);
    holds(ActiveState === 'inactive' && enabled === 'enabled', `${ActiveState}, ${enabled}`);
    holds((await machine.do('systemctl --failed --plain --no-legend')) === '', 'something failed');
  });

  await checks.check('the configuration is a conffile, 0640, for the group alone', async () => {
    const mode = await machine.do(`stat -c '%a %U %G' ${etc} ${etc}/config.yaml`);
    holds(mode === `750 root ${name}\n640 root ${name}`, mode);
    const conffiles = await machine.do(`dpkg-query -W -f '\${Conffiles}' ${name}`);
    holds(conffiles.includes(`${etc}/config.yaml `), conffiles);
  });

  for (const instance of [unit, `${name}@acme.service`])
    await checks.check(`systemd-analyze security ${instance} is at ${highestExposure} or lower`, async () => {
      const said = await machine.do(`systemd-analyze security --no-pager ${instance}`);
      const level = Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1] ?? 10);
      holds(level <= highestExposure, `it is ${level}`);
    });

  await checks.check('the boot does not wait for QA Sphere', async () => {
    const after = await machine.do('systemctl show -P After multi-user.target');
    holds(!after.includes(name), `multi-user.target comes after ${after}`);
  });

  await checks.check('every file of the package is where it should be', async () => {
    // Debian's container images leave documentation out, so what the package holds is asked, not the disk.
    for (const path of [
      `/usr/share/man/man8/${name}.8.gz`,
      `/usr/share/bash-completion/completions/${name}`,
      `/usr/share/${name}/config.schema.json`,
      `/usr/share/${name}/evidence/verify_seals.py`,
      `/usr/share/doc/${name}/examples/splunk.yaml`,
    ])
      holds((await machine.do(`dpkg -L ${name}`)).split('\n').includes(path), `no ${path}`);
    const schema = await machine.do(`${name} schema | cmp - /usr/share/${name}/config.schema.json && echo same`);
    holds(schema === 'same', schema);
  });

  await checks.check('bash completes commands, options and files', async () => {
    const script = [
      `. /usr/share/bash-completion/completions/${name}`,
      'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }',
      '  _qasphere_siem_forwarder "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; echo "${COMPREPLY[@]}"; }',
      `try ${name} sim; try ${name} simulate --po; try ${name} run --config /etc/hostn`,
    ].join('\n');
    const said = await machine.do(script);
    holds(said === 'simulate\n--port\n/etc/hostname', said);
  });
}

/** Instances, the program's own commands beside the unit, then upgrade, removal and purge. */
export async function checkPackage(checks: Checks, machine: Machine, peers: Peers, deb: string): Promise<void> {
  await checks.check('an instance of the template has its own user, secrets and state', () => checkInstance(machine));

  await checks.check('status and cursor report the unit, under its user', async () => {
    const as = `systemd-run --quiet --pipe --wait -p DynamicUser=yes -p User=qasphere-siem \
      -p SupplementaryGroups=${name} -p StateDirectory=${name} \
      -p LoadCredential=qasphere-api-key -p LoadCredential=splunk-hec-token ${name}`;
    const config = `--config ${etc}/config.yaml`;
    holds(/splunk +ok/.test(await machine.do(`${as} status ${config}`)), await machine.do(`${as} status ${config}`));
    const { code } = await machine.exec(`${as} status --ready ${config}`);
    holds(code === 0, `status --ready: exit ${code}`);
    const cursors = await machine.do(`${as} cursor list ${config}`);
    holds(/splunk/.test(cursors), cursors);
  });

  await checks.check(
    'an upgrade keeps configuration and state, restarts the unit, and waits for no answer of QA Sphere',
    async () => {
      const before = await machine.show(unit);
      const newer = await repacked(deb);
      const doubles = peers.doubles();
      peers.simulator.setFaults([{ kind: '503', share: 1 }]);
      try {
        await install(machine, newer);
      } finally {
        peers.simulator.setFaults([]);
        rmSync(newer, { force: true });
      }
      await activeAgain(machine, before);
      await allArrived(peers);
      holds(peers.doubles() === doubles, `${peers.doubles() - doubles} events came twice`);
      holds((await machine.do(`cat ${etc}/config.yaml`)) === configuration(peers).trim(), 'the configuration changed');
    },
  );

  await checks.check('remove stops the unit and keeps configuration and state; install goes on', async () => {
    await machine.do(`DEBIAN_FRONTEND=noninteractive apt-get remove -y -qq ${name}`);
    const left = await machine.do(`ls ${state}/checkpoints ${etc}`);
    holds(/splunk\.json/.test(left) && /config\.yaml/.test(left), left);
    const running = await machine.do(`find /proc -maxdepth 2 -name exe -lname '*/${name}' 2>/dev/null || true`);
    holds(running === '', `still running: ${running}`);
    const doubles = peers.doubles();
    await install(machine, deb);
    await activeAgain(machine, {});
    await allArrived(peers);
    holds(peers.doubles() === doubles, `${peers.doubles() - doubles} events came twice`);
  });

  await checks.check('purge takes configuration and state away', async () => {
    await machine.do(`DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq ${name}`);
    const left = await machine.do(
      `ls -d ${etc} ${state}* /var/lib/${name}* /etc/systemd/system/*/${name}* 2>/dev/null || true`,
    );
    holds(left === '', left);
    const { output } = await machine.exec(`systemctl status ${unit}`);
    holds(/could not be found/.test(output), output);
  });
}

async function checkInstance(machine: Machine): Promise<void> {
  const instance = `${name}@acme.service`;
  await using acme = await startPeers({ events: 50, rate: 0, key: firstKey });
  const file = `${configuration(acme)}`;
  await machine.write(`${etc}/acme.yaml`, file, '0640', name);
  await machine.write('/etc/credstore/qasphere-api-key.acme', firstKey, '0600');
  await machine.write('/etc/credstore/splunk-hec-token.acme', acme.hec.token, '0600');
  await machine.do(`systemctl start ${instance}`);
  await allArrived(acme);
  const users = await machine.do(
    `for unit in ${unit} ${instance}; do stat -c %u /proc/$(systemctl show -P MainPID $unit); done | sort -u | wc -l`,
  );
  holds(users === '2', 'both run under one user');
  holds(/checkpoints/.test(await machine.do(`ls ${state}@acme`)), 'it has no separate state');
  await machine.do(`systemctl stop ${instance}`);
}

async function install(machine: Machine, deb: string): Promise<void> {
  const path = '/var/tmp/forwarder.deb';
  await machine.do(`cat >${path}`, readFileSync(deb));
  await machine.do(`dpkg -i ${path} && rm ${path}`);
}

/** The same package as a newer version; uncompressed, because it is deleted after the test. */
async function repacked(deb: string): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'forwarder-repack-'));
  try {
    const copy = join(work, 'copy.deb');
    copyFileSync(deb, copy);
    const tree = join(work, 'tree');
    await runCommand('dpkg-deb', ['-R', copy, tree]);
    const control = join(tree, 'DEBIAN', 'control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: (.*)$/m, 'Version: $1+next'));
    const newer = join(tmpdir(), `forwarder-newer-${process.pid}.deb`);
    const { code, output } = await runCommand('dpkg-deb', ['--root-owner-group', '-Znone', '-b', tree, newer]);
    holds(code === 0, output);
    return newer;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
