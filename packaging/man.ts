/** One command as its own help describes it. */
export interface CommandHelp {
  readonly name: string;
  readonly summary: string;
  /** Output of `COMMAND --help`. */
  readonly help: string;
}

/** The manual page qasphere-siem-forwarder(8). The commands are described by the program's own help. */
export function manPage(version: string, commands: readonly CommandHelp[]): string {
  return [
    `.TH QASPHERE-SIEM-FORWARDER 8 "" "qasphere-siem-forwarder ${roff(version)}" "System Administration"`,
    section('NAME', 'qasphere-siem-forwarder \\- forwards the QA Sphere audit log to Splunk, syslog and stdout'),
    section('SYNOPSIS', '.B qasphere-siem-forwarder\n.I COMMAND\n.RI [ options ]'),
    section('DESCRIPTION', description.map(roff).join('\n.PP\n')),
    section('BESIDE THE UNIT', beside),
    section('COMMANDS', commands.map(command).join('\n')),
    section('EXIT STATUS', exitCodes.map(([code, means]) => `.TP\n.B ${code}\n${roff(means)}`).join('\n')),
    section('ENVIRONMENT', roff(environment)),
    section('FILES', files.map(([path, what]) => `.TP\n.I ${roff(path)}\n${roff(what)}`).join('\n')),
    section('SIGNALS', signals.map(([name, does]) => `.TP\n.B ${name}\n${roff(does)}`).join('\n')),
    section('SEE ALSO', '.BR systemctl (1),\n.BR journalctl (1),\n.BR systemd\\-creds (1)'),
    '',
  ].join('\n');
}

const description = [
  'Polls the audit log of a QA Sphere tenant and delivers each event to every configured sink, at least once and in order, with a durable cursor for each sink. A checkpoint moves only after the sink has accepted. Events that a sink rejects for their content go to a dead-letter file and are never dropped.',
  'Under systemd, put the key into /etc/credstore/qasphere-api-key, edit /etc/qasphere-siem-forwarder/config.yaml, then start the unit qasphere-siem-forwarder. For several tenants run one instance each: qasphere-siem-forwarder@NAME with NAME.yaml in the same directory.',
];

/** The state belongs to the unit's user and the secrets are credentials: other commands must run in the same way to see them. */
const beside = [
  roff('Secrets and state belong to the unit. To run another command on them, run it like the unit:'),
  '.PP',
  '.nf',
  '.ft CR',
  ...[
    'systemd-run --pipe --wait -p DynamicUser=yes -p User=qasphere-siem \\',
    '  -p SupplementaryGroups=qasphere-siem-forwarder \\',
    '  -p StateDirectory=qasphere-siem-forwarder \\',
    '  -p LoadCredential=qasphere-api-key -p LoadCredential=splunk-hec-token \\',
    '  qasphere-siem-forwarder status',
  ].map(roff),
  '.ft',
  '.fi',
].join('\n');

const exitCodes: readonly (readonly [number, string])[] = [
  [0, 'done, or stopped by SIGTERM or SIGINT'],
  [64, 'wrong usage'],
  [65, 'evidence verify: something was changed, removed or doubled'],
  [66, 'evidence: not all is covered by seals'],
  [
    69,
    'the source or a sink was unreachable, or a sink refused the forwarder (check, once); not ready (status --ready)',
  ],
  [70, 'internal error, please report it'],
  [73, 'the state directory cannot be used'],
  [75, 'another instance uses the state directory'],
  [77, 'the API rejects the key, or restrictedKey: require found a key that can do more'],
  [78, 'configuration or checkpoint invalid, or the URL is not a QA Sphere tenant'],
  [130, 'a second SIGTERM or SIGINT'],
];

const environment =
  'Without a configuration file, QASPHERE_URL, QASPHERE_API_KEY or QASPHERE_API_KEY_FILE, SPLUNK_HEC_URL with SPLUNK_HEC_TOKEN or SPLUNK_HEC_TOKEN_FILE, and SYSLOG_ADDRESS configure the program. LOG_LEVEL overrides the log level. STATE_DIRECTORY is the state directory unless the configuration names one. HTTPS_PROXY and NO_PROXY are honoured.';

const files: readonly (readonly [string, string])[] = [
  ['/etc/qasphere-siem-forwarder/config.yaml', 'the configuration; its schema and examples lie below /usr/share'],
  ['/etc/credstore/qasphere-api-key', 'the API key, for the unit; likewise splunk-hec-token'],
  ['/var/lib/qasphere-siem-forwarder', 'state: checkpoints and dead letters. Removed when the package is purged'],
];

const signals: readonly (readonly [string, string])[] = [
  ['SIGTERM, SIGINT', 'finish what is in flight within shutdownTimeout and exit; a second one exits at once'],
  ['SIGHUP', 'read configuration, secrets and certificates again'],
];

function command({ name, summary, help }: CommandHelp): string {
  const [, , usage = '', , ...rest] = help.trimEnd().split('\n');
  return [
    `.SS ${roff(name)}`,
    `${roff(summary)}.`,
    '.PP',
    '.nf',
    '.ft CR',
    roff(usage),
    '',
    ...rest.flatMap(wrapped).map(roff),
    '.ft',
    '.fi',
  ].join('\n');
}

const width = 76;

/** Wraps a long line of help; the continuation is indented to where the text began. */
function wrapped(line: string): string[] {
  const indent = ' '.repeat(/^ *(?:\S+ )*(?:\S+)? {2,}(?=\S)/.exec(line)?.[0].length ?? 0);
  const lines: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const at = rest.lastIndexOf(' ', width);
    if (at <= indent.length) break;
    lines.push(rest.slice(0, at));
    rest = indent + rest.slice(at + 1);
  }
  return [...lines, rest];
}

const section = (title: string, text: string) => `.SH ${title}\n${text}`;

/** Escapes text for roff (groff(7)). */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}
