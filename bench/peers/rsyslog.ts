import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rsyslogMissing, rsyslogProgram } from '../../test/support/rsyslog.ts';
import type { Peer } from './peer.ts';

/** rsyslogd reads a file with imfile and sends with omfwd: RFC 5424, octet counting, its own standard template. */
export const rsyslog: Peer = {
  name: 'rsyslog',
  missing: rsyslogMissing('imfile'),
  version: () => /rsyslogd +(\S+)/.exec(execFileSync(rsyslogProgram() ?? '', ['-v'], { encoding: 'utf8' }))?.[1] ?? '',
  command(directory, file, to) {
    const { hostname, port } = new URL(to.url);
    const configuration = join(directory, 'rsyslog.conf');
    writeFileSync(
      configuration,
      `global(workDirectory="${directory}")
module(load="imfile")
input(type="imfile" file="${file}" tag="qasphere" facility="local0" severity="info" ruleset="forward")
ruleset(name="forward") {
  action(type="omfwd" target="${hostname}" port="${port}" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
}
`,
    );
    return { program: rsyslogProgram() ?? '', words: ['-n', '-C', '-f', configuration, '-i', join(directory, 'pid')] };
  },
};
