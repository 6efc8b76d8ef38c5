import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { licences } from './licences.ts';
import { type CommandHelp, manPage } from './man.ts';

/** Builds the Debian package around dist/qasphere-siem-forwarder: `npm run build:deb`. */
const name = 'qasphere-siem-forwarder';
const root = join(import.meta.dirname, '..');
const binary = join(root, 'dist', name);
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
const { version = '', description = '' } = manifest;
const architecture = ({ x64: 'amd64', arm64: 'arm64' } as Record<string, string>)[process.arch] ?? process.arch;

const maintainer = `${name} maintainers <noreply@qasphere.com>`;

const tree = mkdtempSync(join(tmpdir(), 'forwarder-deb-'));
try {
  chmodSync(tree, 0o755);
  put(`usr/bin/${name}`, readFileSync(binary), 0o755);
  for (const unit of [`${name}.service`, `${name}@.service`]) copy(`systemd/${unit}`, `lib/systemd/system/${unit}`);
  copy('systemd/sysusers.conf', `usr/lib/sysusers.d/${name}.conf`);
  copy('packaging/debian/config.yaml', `etc/${name}/config.yaml`, 0o640);
  chmodSync(join(tree, 'etc', name), 0o750);
  copy('config/config.schema.json', `usr/share/${name}/config.schema.json`);
  for (const file of ['verify_seals.py', 'seal.schema.json', 'README.md'])
    copy(`config/evidence/${file}`, `usr/share/${name}/evidence/${file}`);
  copy('packaging/completion.bash', `usr/share/bash-completion/completions/${name}`);
  const doc = `usr/share/doc/${name}`;
  for (const example of readdirSync(join(root, 'config')).filter((file) => file.endsWith('.yaml')))
    copy(`config/${example}`, `${doc}/examples/${example}`);
  put(`${doc}/CHANGELOG.md.gz`, gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }));
  put(`${doc}/changelog.gz`, gzipSync(changelog(), { level: 9 }));
  put(`${doc}/copyright`, copyright());
  put(`${doc}/licences.gz`, gzipSync(licences(root), { level: 9 }));
  put(`usr/share/man/man8/${name}.8.gz`, gzipSync(manPage(version, commandHelps()), { level: 9 }));

  for (const script of ['postinst', 'prerm', 'postrm']) copy(`packaging/debian/${script}`, `DEBIAN/${script}`, 0o755);
  put('DEBIAN/conffiles', `/etc/${name}/config.yaml\n`);
  put('DEBIAN/control', control());

  const deb = join(root, 'dist', `${name}_${version}_${architecture}.deb`);
  rmSync(deb, { force: true });
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z9', '--build', tree, deb], { stdio: 'inherit' });
  console.log(deb);
} finally {
  rmSync(tree, { recursive: true, force: true });
}

function put(path: string, content: string | Buffer, mode = 0o644): void {
  const target = join(tree, path);
  for (const directory of parents(path)) mkdirSync(join(tree, directory), { recursive: true, mode: 0o755 });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function copy(from: string, to: string, mode = 0o644): void {
  put(to, readFileSync(join(root, from)), mode);
}

function parents(path: string): string[] {
  const above = dirname(path);
  return above === '.' ? [] : [...parents(above), above];
}

/** deb-control(5). Node is linked with libatomic and libstdc++, which a minimal system lacks. */
function control(): string {
  return [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${maintainer}`,
    'Section: admin',
    'Priority: optional',
    `Installed-Size: ${installedKiB(tree)}`,
    'Depends: libatomic1, libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 12), init-system-helpers (>= 1.54), systemd (>= 252)',
    'Recommends: ca-certificates',
    `Description: ${description.split(',')[0]}`,
    ' Polls the audit log of a QA Sphere tenant and delivers each event to Splunk',
    ' HEC, syslog (RFC 5424, RFC 3164, RELP) and stdout, at least once and in order,',
    ' with a durable cursor for each. One executable with Node.js inside.',
    '',
  ].join('\n');
}

/** deb-changelog(5); the changes are in CHANGELOG.md. */
function changelog(): string {
  const { SOURCE_DATE_EPOCH = String(Math.floor(Date.now() / 1000)) } = process.env;
  const date = new Date(Number(SOURCE_DATE_EPOCH) * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) stable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- ${maintainer}  ${date}\n`;
}

function installedKiB(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + Math.ceil(readFileSync(join(entry.parentPath, entry.name)).length / 1024), 0);
}

function commandHelps(): CommandHelp[] {
  const said = (...args: string[]) => execFileSync(binary, args, { encoding: 'utf8' });
  const rows = said('--help').matchAll(/^ {2}([a-z]+) {2,}(.*)$/gm);
  return [...rows].map(([, command = '', summary = '']) => ({
    name: command,
    summary,
    help: said(command, '--help'),
  }));
}

/** Machine-readable copyright file (Debian's copyright-format 1.0). */
function copyright(): string {
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    `Upstream-Name: ${name}`,
    '',
    'Files: *',
    'Copyright: the qasphere-siem-forwarder authors',
    'License: Apache-2.0',
    ' On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.',
    ' .',
    ` The executable also holds Node.js and the packages in /usr/share/doc/${name}/licences.gz.`,
    '',
  ].join('\n');
}
