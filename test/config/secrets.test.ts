import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configShape, type Shape } from '../../src/config/json-schema.ts';
import { load, loadEnvironment, problemsOf, withRoot, withSink, withSource } from '../support/configuration.ts';

const canary = 'c4n4ry-c4n4ry_c4n4ry';
const env = { QASPHERE_API_KEY: canary, SPLUNK_HEC_TOKEN: canary, PASSWORD: canary, SET: 'x' };

const full = `source:
  url: https://acme.eu1.qasphere.com
  apiKey: ${canary}
  pageSize: 100
  proxy: http://user:${canary}@proxy.example.com:3128
  tls: { servername: a }
sinks:
  - { name: hec, type: splunk-hec, url: "https://a.example.com", token: "${canary}" }
  - name: second
    type: splunk-hec
    url: https://b.example.com
    token: \${SPLUNK_HEC_TOKEN}
    proxy: http://user:\${PASSWORD}@proxy.example.com:3128
    fields: { a: b }
  - type: syslog
    address: tls://c.example.com:6514
`;

describe('no problem shows a secret', () => {
  it('in a valid file', () => {
    expect(problemsOf(load(full, env))).toEqual([]);
  });

  it.each([
    withSource(`apiKey:${canary}`),
    withSource(`apiKey ${canary}`),
    withSource(`apikey: ${canary}`),
    withSource(`tls: {caFile:${canary}}`),
    withSource('apiKey:', `  ${canary}:`),
    withSource(`apiKeyFile: ${canary}`),
    withSource(`tls: { keyFile: "-----BEGIN PRIVATE KEY-----${canary}" }`),
    withSource(`proxy: ${canary}`),
    withSource(`proxy: "http://u:${canary}@"`),
    withSource(`proxy: "http://u:${canary}@a b"`),
    withSource(`schedule: ${canary}`),
    withSource(`startAt: ${canary}`),
    withSource(`"${canary}": 1`),
    withSource(`? ${canary}`),
    withSource(`? [${canary}]\n  : 1`),
    withRoot().replace('https://', `https://u:${canary}@`),
    withRoot().replace('https://', `https://${canary}@`),
    withRoot().replace('https://', `${canary}://`),
    withRoot().replace('.com', `.com/?key=${canary}`),
    withRoot().replace('.com', `.com/${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `\${${canary}}`),
    withRoot().replace('${QASPHERE_API_KEY}', `\${${canary.replaceAll('-', '_')}}`),
    withRoot().replace('${QASPHERE_API_KEY}', `\${UNSET:-\${${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `"${canary}\\q"`),
    withRoot().replace('${QASPHERE_API_KEY}', `"${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `"${canary}" ${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `${canary}: ${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `*${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `!${canary} x`),
    withRoot().replace('${QASPHERE_API_KEY}', `@${canary}`),
    withRoot().replace('${QASPHERE_API_KEY}', `[${canary}]`),
    withRoot().replace('${QASPHERE_API_KEY}', `{${canary}}`),
    withRoot().replace('${QASPHERE_API_KEY}', `"${canary}\\n${canary}"`),
    withRoot().replace('${QASPHERE_API_KEY}', `"${canary} €"`),
    withSink('type: stdout', `token: ${canary}`),
    withSink(`type: ${canary}`),
    withSink('type: ${QASPHERE_API_KEY}', 'name: ${QASPHERE_API_KEY}'),
    withSink(`{type: splunk-hec, url: "https://a", token:${canary}}`),
    withSink('type: splunk-hec', 'url: https://a', 'token: t', `fields: {${canary}}`),
    withSink('type: splunk-hec', 'url: https://a', 'token: t', `fields: {token:${canary}}`),
    withSink('type: splunk-hec', `url: https://a:${canary}`, 'token: t'),
    withSink('type: splunk-hec', `url: https://u:${canary}@a`, 'token: t'),
    withSink('type: splunk-hec', 'url: https://a/?token=${SPLUNK_HEC_TOKEN}', 'tokenFile: ${SPLUNK_HEC_TOKEN}'),
    withSink('type: splunk-hec', 'url: https://a', 'token: t', 'batch: { maxEvents: "${SPLUNK_HEC_TOKEN}" }'),
    withSink('type: syslog', `address: tls://u:${canary}@a:1`),
    withSink('type: syslog', `address: ${canary}`, `facility: ${canary}`, `sdId: "${canary} "`),
    withRoot(canary),
    withRoot(`telemetry: { listen: ${canary} }`, `log: { level: ${canary} }`, `shutdownTimeout: ${canary}`),
    canary,
  ])('in a file with a mistake in it: %j', (text) => {
    const problems = problemsOf(load(text, env));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join('\n')).not.toMatch(/c4n4ry/i);
  });

  it('in a file that is damaged anywhere', () => {
    const marks = fc.constantFrom(...':{}[]"\'#&*!|>%@,$?-\n\t \\', '${', ': ', '- ', '\n  ', '');
    const damage = fc.array(fc.tuple(fc.nat(full.length), fc.nat(3), marks), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, (cuts) => {
        const text = cuts.reduce(
          (whole, [at, length, mark]) => whole.slice(0, at) + mark + whole.slice(at + length),
          full,
        );
        expect(problemsOf(load(text, env)).join('\n')).not.toMatch(/c4n4ry/i);
      }),
      { numRuns: 1000 },
    );
  });

  it('in an environment with mistakes in it', () => {
    const names = [
      'QASPHERE_URL',
      'QASPHERE_API_KEY',
      'QASPHERE_API_KEY_FILE',
      'SPLUNK_HEC_URL',
      'SPLUNK_HEC_TOKEN',
    ].concat(
      ['SPLUNK_HEC_TOKEN_FILE', 'SPLUNK_HEC_ALLOW_PLAIN_HTTP', 'SYSLOG_ADDRESS', 'SYSLOG_FORMAT', 'STATE_DIRECTORY'],
      ['LOG_LEVEL', 'TELEMETRY_LISTEN', 'SCHEDULE', 'START_AT', 'SETTLE', 'SPLUNK_HEC_INDEX'],
    );
    const values = [canary, `https://u:${canary}@a`, `tls://u:${canary}@a`, `${canary}\n${canary}`, `\${${canary}}`];
    for (const value of values) {
      const problems = problemsOf(loadEnvironment(Object.fromEntries(names.map((name) => [name, value]))));
      expect(problems.length).toBeGreaterThan(5);
      expect(problems.join('\n')).not.toMatch(/c4n4ry/i);
    }
  });
});

/** Every name that has a meaning anywhere. */
function names({ properties = {}, items, oneOf = [] }: Shape): string[] {
  const below = [...Object.values(properties), ...(items ? [items] : []), ...oneOf];
  return [...Object.keys(properties), ...below.flatMap(names)];
}

it('loading never throws and always names a place, whatever the file contains', () => {
  const known = fc.constantFrom(...new Set(names(configShape())));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(
        null,
        true,
        0,
        -1,
        1e300,
        '',
        'a',
        'stdout',
        'syslog',
        'splunk-hec',
        '${SET}',
        '${UNSET}',
        'http://a',
      ),
      fc.dictionary(known, tie('value')),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
  }));
  const sections = fc.record({ source: value, sinks: fc.array(value), telemetry: value, log: value, state: value });
  fc.assert(
    fc.property(fc.oneof(value, sections), (content) => {
      const loaded = load(JSON.stringify(content), env);
      if (loaded.ok) return;
      for (const { line, column } of loaded.problems) {
        expect(line).toBeGreaterThan(0);
        expect(column).toBeGreaterThan(0);
      }
      expect(loaded.problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});
