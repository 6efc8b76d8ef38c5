import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syslogNgCommand, syslogNgMissing } from '../../test/support/syslog-ng.ts';
import type { Served } from '../process.ts';
import type { Peer } from './peer.ts';

/** Reads a thousand lines at a time, with a window that lets it: more than its defaults, for speed. */
const source = (file: string) =>
  `source s { file("${file}" flags(no-parse) log-fetch-limit(1000) log-iw-size(10000)); };`;

function peer(name: string, rest: (to: Served) => string): Peer {
  return {
    name,
    missing: syslogNgMissing,
    version() {
      const { program, env } = syslogNgCommand('', '');
      return /\((\S+)\)/.exec(execFileSync(program, ['--version'], { env, encoding: 'utf8' }))?.[1] ?? '';
    },
    command(directory, file, to) {
      const configuration = join(directory, 'syslog-ng.conf');
      writeFileSync(
        configuration,
        `@version: 3.38
options { stats-freq(0); time-zone("UTC"); use-dns(no); log-fifo-size(20000); };
${source(file)}
${rest(to)}
`,
      );
      return syslogNgCommand(configuration, directory);
    },
  };
}

/** file() to network(): RFC 5424, ended by a newline. */
export const syslogNgOverTcp = peer('syslog-ng', (to) => {
  const { hostname, port } = new URL(to.url);
  return `destination d { network("${hostname}" port(${port}) transport("tcp") flags(syslog-protocol) flush-lines(1000)); };
log { source(s); destination(d); flags(flow-control); };`;
});

/** The same with each line parsed, for the header that the forwarder writes: the event's time, action, id, user, address. */
export const syslogNgParsing = peer('syslog-ng, with json-parser', (to) => {
  const { hostname, port } = new URL(to.url);
  const header = String.raw`<134>1 ${'$'}{.e.createdAt} acme qasphere - ${'$'}{.e.action} [qasphere@32473 id=\"${'$'}{.e.id}\" action=\"${'$'}{.e.action}\" user=\"${'$'}{.e.user.email}\" src=\"${'$'}{.e.ip}\" tenant=\"acme\"]`;
  return String.raw`destination d { network("${hostname}" port(${port}) transport("tcp") flush-lines(1000) template("${header} $MSG\n") template-escape(no)); };
parser p { json-parser(prefix(".e.")); };
log { source(s); parser(p); destination(d); flags(flow-control); };`;
});

/** file() to http(): each line parsed so that its own time is sent, a thousand a request, as a HEC wants them. */
export const syslogNgOverHttp = peer('syslog-ng', (to) => {
  const envelope =
    '{\\"time\\":$S_UNIXTIME.$S_MSEC,\\"host\\":\\"127.0.0.1\\",\\"source\\":\\"qasphere\\",\\"sourcetype\\":\\"qasphere:audit\\",\\"event\\":$MSG}';
  return `parser p {
  json-parser(prefix(".e."));
  date-parser(format("%Y-%m-%dT%H:%M:%S.%f%z") template("\${.e.createdAt}"));
};
destination d {
  http(url("${to.url}/services/collector/event") method("POST") headers("Authorization: Splunk ${to.token}", "Content-Type: application/json")
    body("${envelope}") delimiter("\\n") body-suffix("\\n") batch-lines(1000) batch-bytes(900000) batch-timeout(1000) workers(1) persist-name("hec"));
};
log { source(s); parser(p); destination(d); flags(flow-control); };`;
});
