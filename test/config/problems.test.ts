import { describe, expect, it } from 'vitest';
import { load, problemsOf, withRoot, withSink, withSinks, withSource } from '../support/configuration.ts';

const problems = (text: string, env?: Record<string, string>) => problemsOf(load(text, env));

describe('mistakes in a configuration file', () => {
  it('are all reported at once, each with file, line and column', () => {
    const text = `source:
  url: http://acme.eu1.qasphere.com
  apikey: \${QASPHERE_API_KEY}
  pageSize: 5000
sinks:
  - name: Splunk
    type: splunk-hec
    url: http://splunk.example.com:8088
    token: \${UNSET_TOKEN}
`;
    expect(problems(text)).toEqual([
      'c.yaml:2:8: source.url: http:// would send the key unencrypted: use https://',
      'c.yaml:3:3: source.apikey: unknown key: did you mean apiKey?',
      'c.yaml:4:13: source.pageSize: must be a whole number from 1 to 1000',
      'c.yaml:6:11: sinks[0].name: write 1 to 63 of a-z 0-9 - _, starting with a letter or digit',
      'c.yaml:8:10: sinks[0].url: http:// would send the token in clear: use https://, or set allowPlainHttp: true',
      'c.yaml:9:12: sinks[0].token: the environment variable UNSET_TOKEN is not set',
    ]);
  });

  it('in a single value do not hide those over several keys', () => {
    const text = withSink(
      'type: splunk-hec',
      'url: http://a.example.com',
      'index: 5',
      'tls: { certFile: 5 }',
      'extra: 1',
    );
    expect(problems(text)).toEqual([
      'c.yaml:5:5: sinks[0].token: requires token or tokenFile',
      'c.yaml:6:10: sinks[0].url: http:// would send the token in clear: use https://, or set allowPlainHttp: true',
      'c.yaml:7:12: sinks[0].index: must be text',
      'c.yaml:8:5: sinks[0].tls.keyFile: certFile and keyFile require each other',
      'c.yaml:8:22: sinks[0].tls.certFile: must be text',
      'c.yaml:9:5: sinks[0].extra: unknown key; the nearest known one is url',
    ]);
  });

  it('have the place of the value in flow style, with a comment, after wide characters and across lines', () => {
    expect(problems(withSource('"pageSize" :   0 # none'))).toEqual([expect.stringMatching(/^c\.yaml:4:18: /)]);
    expect(problems(withRoot('log: { level:', '  wrong }'))).toEqual([expect.stringMatching(/^c\.yaml:7:3: /)]);
    expect(problems(withSink('{ name: "é…", type: stdout }'))).toEqual([expect.stringMatching(/^c\.yaml:5:13: /)]);
    expect(problems(withSink('type: stdout', 'redact:', '  - a', '  - ""'))).toEqual([
      'c.yaml:8:9: sinks[0].redact[1]: must not be empty',
    ]);
  });

  it('have the same place with Windows line ends', () => {
    expect(problems(withSource('pageSize: 0').replaceAll('\n', '\r\n'))).toEqual([
      expect.stringMatching(/^c\.yaml:4:13: /),
    ]);
  });

  it('behind an alias are reported once, at the place of the anchor', () => {
    const sinks = ['type: stdout', 'filter: &f { include: [""] }', 'name: a'];
    expect(problems(`${withSink(...sinks)}  - { type: syslog, address: "udp://a", filter: *f }\n`)).toEqual([
      'c.yaml:6:28: sinks[0].filter.include[0]: must not be empty',
    ]);
  });

  it.each([
    ['pagesize: 5', 'c.yaml:4:3: source.pagesize: unknown key: did you mean pageSize?'],
    ['request_per_second: 5', 'c.yaml:4:3: source.request_per_second: unknown key: did you mean requestsPerSecond?'],
    ['tls: { cafile: x }', 'c.yaml:4:10: source.tls.cafile: unknown key: did you mean caFile?'],
    [
      'something: 5',
      expect.stringMatching(/^c\.yaml:4:3: source\.something: unknown key; the nearest known one is \w+$/),
    ],
  ])('in a key of source name the nearest known one: %s', (line, expected) => {
    expect(problems(withSource(line))).toContainEqual(expected);
  });

  it.each([
    ['tokn: x', 'c.yaml:7:5: sinks[0].tokn: unknown key: did you mean token?'],
    ['batch: { maxevent: 5 }', 'c.yaml:7:14: sinks[0].batch.maxevent: unknown key: did you mean maxEvents?'],
    ['filter: { includes: [a] }', 'c.yaml:7:15: sinks[0].filter.includes: unknown key: did you mean include?'],
    ['facility: audit', 'c.yaml:7:5: sinks[0].facility: unknown key; the nearest known one is filter'],
  ])('in a key of a sink name the nearest known one of its type: %s', (line, expected) => {
    expect(problems(withSink('type: splunk-hec', 'url: https://a.example.com', line))).toContainEqual(expected);
  });

  it('in a key do not hide those in its value, and are reported once', () => {
    const text = withRoot().replace('source:', 'sorce:').replace('apiKey:', 'apikey:').replace('https:', 'ftp:');
    expect(problems(`${text}shutdown_timeout: 5\n`)).toEqual([
      'c.yaml:1:1: sorce: unknown key: did you mean source?',
      'c.yaml:2:8: sorce.url: write https://COMPANY.REGION.qasphere.com',
      'c.yaml:3:3: sorce.apikey: unknown key: did you mean apiKey?',
      'c.yaml:6:1: shutdown_timeout: unknown key: did you mean shutdownTimeout?',
      'c.yaml:6:19: shutdown_timeout: write a duration such as 500ms, 15s, 5m or 1h',
    ]);
  });

  it('in a key do not replace the correct key beside it', () => {
    expect(problems(withSource('apikey: ""'))).toEqual([
      'c.yaml:4:3: source.apikey: unknown key: did you mean apiKey?',
    ]);
  });

  it("in a sink's type name the nearest one and do not hide the sink's others", () => {
    expect(problems(withSink('type: sylog', 'address: x', 'facility: 24'))).toEqual([
      expect.stringMatching(/^c\.yaml:5:11: sinks\[0\]\.type: must be .* or stdout: did you mean syslog\?$/),
      expect.stringMatching(/^c\.yaml:6:14: sinks\[0\]\.address: write udp:/),
      expect.stringMatching(/^c\.yaml:7:15: sinks\[0\]\.facility: must be kern, .* or a whole number from 0 to 23$/),
    ]);
    expect(problems(withSink('type: pulsar'))).toEqual([
      expect.stringMatching(/^c\.yaml:5:11: .*must be .* or stdout; the nearest known one is \S+$/),
    ]);
    expect(problems(withSink('name: a'))).toEqual([
      expect.stringMatching(/^c\.yaml:5:5: sinks\[0\]\.type: is missing: it must be .* or stdout$/),
    ]);
    expect(problems(withSink('just text'))).toEqual(['c.yaml:5:5: sinks[0]: must be a map of keys']);
  });

  it.each([
    ['a name twice', ['name: a', 'type: stdout'], ['name: a', 'type: syslog', 'address: "udp://a"'], '7:11', 'name'],
    [
      'a default name twice',
      ['type: syslog', 'address: "udp://a"'],
      ['type: syslog', 'address: "udp://b"'],
      '7:5',
      'name',
    ],
    ['a default name taken', ['type: syslog', 'address: "udp://a"'], ['name: syslog', 'type: stdout'], '7:11', 'name'],
    ['two stdout sinks', ['name: a', 'type: stdout'], ['name: b', 'type: stdout'], '8:11', 'type'],
  ])('over several sinks: %s', (_, first, second, position, key) => {
    const messages = {
      name: 'is also the name of sinks[0]',
      type: 'sinks[0] already writes to standard output: records would mix',
    };
    expect(problems(withSinks(first, second))).toEqual([
      `c.yaml:${position}: sinks[1].${key}: ${messages[key as 'name' | 'type']}`,
    ]);
  });

  it('over several sinks are reported beside a mistake in one of them', () => {
    expect(problems(withSinks(['type: stdout', 'envelope: 5'], ['type: stdout']))).toHaveLength(3);
  });

  it('include more than 64 sinks, and none', () => {
    const sinks = (count: number) =>
      withSink(...['type: stdout']) +
      Array.from({ length: count - 1 }, (_, i) => `  - { name: s${i}, type: syslog, address: "udp://a" }\n`).join('');
    expect(problems(sinks(64))).toEqual([]);
    expect(problems(sinks(65))).toEqual([expect.stringContaining('sinks: must have at most 64')]);
    expect(problems(withSink('type: stdout').replace(/sinks:.*/s, 'sinks: []'))).toEqual([
      expect.stringContaining('sinks: must have at least 1'),
    ]);
  });

  it.each([
    ['https://acme.eu1.qasphere.com/app', 'must not have a path'],
    ['https://acme.eu1.qasphere.com//', 'must not have a path'],
    ['https://acme.eu1.qasphere.com/#x', 'must not have a path'],
    ['https://acme.eu1.qasphere.com/?', 'must not have a query'],
    ['https://acme.eu1.qasphere.com/?a=b', 'must not have a query'],
    ['https://u@acme.eu1.qasphere.com', 'must not contain a user or password'],
    ['https://u:p@acme.eu1.qasphere.com', 'must not contain a user or password'],
    ['http://acme.eu1.qasphere.com', 'http:// would send the key unencrypted'],
    ['http://localhost.example.com', 'http:// would send the key unencrypted'],
    ['acme.eu1.qasphere.com', 'write https://'],
    ['ftp://acme.eu1.qasphere.com', 'write https://'],
  ])('are addresses such as %s', (url, message) => {
    const text = withSource().replace('https://acme.eu1.qasphere.com', `"${url}"`);
    expect(problems(text)).toEqual([expect.stringContaining(`c.yaml:2:8: source.url: ${message}`)]);
  });

  it.each(['', '* * * *', '60 * * * * *', 'every minute', '0 0 31 2 *'])('are schedules such as %j', (schedule) => {
    expect(problems(withSource(`schedule: "${schedule}"`))).toEqual([
      expect.stringContaining('c.yaml:4:13: source.schedule: '),
    ]);
  });

  it.each([
    ['pageSize: 1001', 'must be a whole number from 1 to 1000'],
    ['pageSize: 1.5', 'must be a whole number from 1 to 1000'],
    ['pageSize: 99999999999999999999', 'must be a whole number from 1 to 1000'],
    ['requestsPerSecond: 0', 'must be a number above 0 up to 20'],
    ['requestsPerSecond: 20.1', 'must be a number above 0 up to 20'],
    ['settle: 60', 'write a duration such as 500ms, 15s, 5m or 1h'],
    ['settle: 60 s', 'write a duration such as 500ms, 15s, 5m or 1h'],
    ['authScheme: bearer', 'must be Bearer or ApiKey'],
    ['onKeyRejected: stop', 'must be exit or wait'],
    ['restrictedKey: yes', 'must be warn, require or off'],
    ['tls:', 'has no value: it must be a map of keys; or remove the key'],
    ['tls: { minVersion: 1.2 }', 'must be TLSv1.2 or TLSv1.3'],
    ['tls: { caFile: /does/not/exist }', 'the file does not exist'],
    ['tls: { caFile: / }', 'the file is a directory'],
    ['proxy: proxy:3128', 'write http://host:port'],
    ['apiKeyFile: /does/not/exist', 'the file does not exist'],
  ])('are explained: %s', (line, message) => {
    expect(problems(withSource(line)).join('\n')).toContain(message);
  });

  it.each(['127.0.0.1', '127.0.0.1:65536', ':9464', '::1:9464', '[::1]', '9464', 'a b:1'])(
    'are listen addresses such as %s',
    (listen) => {
      expect(problems(withRoot(`telemetry: { listen: "${listen}" }`))).toEqual([
        expect.stringContaining('write HOST:PORT'),
      ]);
    },
  );

  it('in the value of a variable are reported at the place of the reference', () => {
    const env = { QASPHERE_API_KEY: 'k', N: '5000', L: 'loud' };
    expect(problems(`${withSource('pageSize: ${N}')}log: { level: "\${L}" }\n`, env)).toEqual([
      'c.yaml:4:13: source.pageSize: must be a whole number from 1 to 1000',
      'c.yaml:7:15: log.level: must be trace, debug, info, warn, error or fatal',
    ]);
  });

  it('that follow from an unset variable are not reported', () => {
    const text = `${withSink('type: ${UNSET}', 'name: a')}  - { type: syslog, name: "\${UNSET}", address: "\${UNSET}" }\n`;
    expect(problems(text)).toEqual([
      'c.yaml:5:11: sinks[0].type: the environment variable UNSET is not set',
      'c.yaml:7:27: sinks[1].name: the environment variable UNSET is not set',
      'c.yaml:7:48: sinks[1].address: the environment variable UNSET is not set',
    ]);
  });

  it('are printed on one line, whatever names they contain', () => {
    const [problem = ''] = problemsOf(load(withRoot('"a\\nb\\e[31m": 1')));
    expect(problem).toMatch(/^c\.yaml:6:1: \[…\]: unknown key/);
    expect(problem).not.toMatch(/[\u0000-\u001f]/);
  });
});
