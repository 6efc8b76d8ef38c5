import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checks } from './checks.ts';
import { checkImage } from './image.ts';
import { Machine } from './machine.ts';
import { checkFreshPackage, checkPackage } from './package.ts';
import { startPeers } from './peers.ts';
import { checkUnit, setUp, unit } from './systemd.ts';
import { checkTarball } from './tarball.ts';

/**
 * Installs, boots, kills, fills and upgrades for real: `npm run test:packaging`. FORWARDER_TOOLS names the folder of
 * nspawn-run and image-run; `--unit`, `--package`, `--image` and `--tarball` pick a part; `--no-build` takes dist/ as it is.
 */
const root = join(import.meta.dirname, '..', '..');
const tools = process.env['FORWARDER_TOOLS'] ?? join(root, '..', 'shared', 'tools');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
const deb = join(root, 'dist', `qasphere-siem-forwarder_${version}_${architecture}.deb`);

const missing = !existsSync(join(tools, 'nspawn-run'))
  ? `there is no ${tools}/nspawn-run (FORWARDER_TOOLS)`
  : process.getuid?.() !== 0
    ? 'this needs root'
    : undefined;
if (missing !== undefined) {
  console.log(`skipped: ${missing}`);
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

const asked = process.argv.slice(2);
const parts = ['--unit', '--package', '--image', '--tarball'].filter((part) => asked.includes(part));
const wants = (part: string) => parts.length === 0 || parts.includes(part);
const checks = new Checks();

if (!asked.includes('--no-build') && (wants('--unit') || wants('--package')))
  execFileSync('npm', ['run', '--silent', 'build:deb'], { cwd: root, stdio: 'inherit' });

if (wants('--unit') || wants('--package')) {
  await using peers = await startPeers();
  await using machine = await Machine.boot(tools, ['--install-live', deb]);
  if (wants('--package')) await checkFreshPackage(checks, machine);
  await setUp(machine, peers);
  if (wants('--unit')) await checkUnit(checks, machine, peers);
  await machine.do(`systemctl start ${unit}`);
  if (wants('--package')) await checkPackage(checks, machine, peers, deb);
  if (checks.failed > 0) console.log(await machine.do('journalctl -b -o short-monotonic | tail -n 150'));
}

if (wants('--tarball')) await checkTarball(checks, root);
if (wants('--image')) await checkImage(checks, tools, root);

console.log(`${checks.passed} passed, ${checks.failed} failed`);
process.exitCode = checks.failed > 0 ? 1 : 0;
