import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rsyslogMissing, rsyslogProgram } from '../../test/support/rsyslog.ts';
import type { Peer } from './peer.ts';

function peer(name: string, template: string, before = ''): Peer {
  return {
    name,
    missing: rsyslogMissing('imfile', 'mmjsonparse'),
    version: () =>
      /rsyslogd +(\S+)/.exec(execFileSync(rsyslogProgram() ?? '', ['-v'], { encoding: 'utf8' }))?.[1] ?? '',
    command(directory, file, to) {
      const { hostname, port } = new URL(to.url);
      const configuration = join(directory, 'rsyslog.conf');
      writeFileSync(
        configuration,
        `global(workDirectory="${directory}")
module(load="imfile")
module(load="mmjsonparse")
${template}
input(type="imfile" file="${file}" tag="qasphere" facility="local0" severity="info" ruleset="forward")
ruleset(name="forward") {
  ${before}
  action(type="omfwd" target="${hostname}" port="${port}" protocol="tcp" TCP_Framing="octet-counted" template="wanted")
}
`,
      );
      return {
        program: rsyslogProgram() ?? '',
        words: ['-n', '-C', '-f', configuration, '-i', join(directory, 'pid')],
      };
    },
  };
}

/** imfile to omfwd: a line becomes the message, unread; time and host are those of the moment. */
export const rsyslog = peer(
  'rsyslog',
  'template(name="wanted" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% qasphere - - - %msg%")',
);

/** The same with each line parsed, for the header that the forwarder writes: the event's time, action, id, user, address. */
export const rsyslogParsing = peer(
  'rsyslog, with mmjsonparse',
  String.raw`template(name="wanted" type="string" string="<%PRI%>1 %$!createdAt% acme qasphere - %$!action% [qasphere@32473 id=\"%$!id%\" action=\"%$!action%\" user=\"%$!user!email%\" src=\"%$!ip%\" tenant=\"acme\"] %msg%")`,
  'action(type="mmjsonparse" cookie="")',
);
