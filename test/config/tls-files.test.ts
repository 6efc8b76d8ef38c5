import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readTlsFiles } from '../../src/lib/options/tls.ts';
import { Credentials } from '../../src/sinks/syslog/credentials.ts';
import type { SyslogOptions } from '../../src/sinks/syslog/options.ts';
import type { TelemetryEvent } from '../../src/telemetry/telemetry-event.ts';
import { configOf, load, problemsOf, withSink, withSource } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';
import { testPair } from '../support/test-pair.ts';

const { file } = scratch();
const pair = file('pair.pem', testPair);
const garbage = file('garbage.pem', 'garbage');
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const other = file('other.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
const encrypted = file(
  'encrypted.key',
  privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
);
const of = (tls: string) => problemsOf(load(withSource(`tls: { ${tls} }`)));

describe('the files of a tls block', () => {
  it('may be PEM', () => {
    expect(of(`caFile: ${pair}, certFile: ${pair}, keyFile: ${pair}`)).toEqual([]);
  });

  it.each([
    [`caFile: ${garbage}`, 'source.tls.caFile: the file contains no PEM certificate'],
    [`caFile: ${other}`, 'source.tls.caFile: the file contains no PEM certificate'],
    [`certFile: ${garbage}, keyFile: ${pair}`, 'source.tls.certFile: the file contains no PEM certificate'],
    [`certFile: ${pair}, keyFile: ${garbage}`, 'source.tls.keyFile: the file contains no PEM private key'],
    [`certFile: ${pair}, keyFile: ${encrypted}`, 'source.tls.keyFile: the file contains no PEM private key'],
    [`certFile: ${pair}, keyFile: ${other}`, 'source.tls.keyFile: the key does not match the certificate'],
  ])('are a problem of the configuration when they hold something else: %s', (tls, problem) => {
    expect(of(tls)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('a file of several certificates', () => {
  const [good = ''] = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/.exec(testPair) ?? [];
  const lines = good.split('\n').length - 1;
  const broken = good.replace(/\n[A-Za-z0-9+/=]{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
  const cut = good.slice(0, good.length / 2);

  it('may hold comments between them', () => {
    expect(of(`caFile: ${file('two.pem', `# one\n${good}\n# two\n${good}`)}`)).toEqual([]);
  });

  it('may start with a byte order mark, and have Windows line ends', () => {
    const path = file('windows.pem', `\ufeff${good}${good}`.replaceAll('\n', '\r\n'));
    expect(of(`caFile: ${path}`)).toEqual([]);
    expect(readTlsFiles({ caFile: path }).ca).toMatch(/^-----BEGIN/);
  });

  it('is refused if a certificate does not start its line', () => {
    const path = file('indented.pem', good + good.replaceAll(/^/gm, '  '));
    expect(of(`caFile: ${path}`)).toEqual([
      expect.stringContaining(`a certificate that does not start its line, number 2, at line ${lines + 1}`),
    ]);
  });

  it.each([
    ['a broken second one', good + broken + good, 2, lines + 1],
    ['a second one that is cut off', good + cut, 2, lines + 1],
    ['a cut one before a good one', `${cut}\n${good}`, 1, 1],
    ['a broken third one', `# authorities\n${good}${good}${broken}`, 3, 2 * lines + 2],
  ])('is refused for %s, with its place', (_, text, number, line) => {
    const path = file('several.pem', text);
    for (const key of ['caFile', 'certFile'])
      expect(of(key === 'caFile' ? `caFile: ${path}` : `certFile: ${path}, keyFile: ${pair}`)).toEqual([
        expect.stringContaining(
          `source.tls.${key}: the file contains a certificate that can't be read, number ${number}, at line ${line}`,
        ),
      ]);
  });

  it('is refused too when it is read again for a new connection, and the one before stays in use', () => {
    const path = file('renewed.pem', good);
    const problems: string[] = [];
    const { tls } = configOf(load(withSink('type: syslog', 'address: tls://a', `tls: { caFile: ${path} }`)))
      .sinks[0] as SyslogOptions;
    const deps = {
      name: 'syslog',
      now: Date.now,
      emit: (event: TelemetryEvent) => void (event.event === 'sink.warning' && problems.push(event.detail)),
    };
    const made = new Credentials(tls, deps, 'tls://a');
    const { secureContext } = made.current();
    file('renewed.pem', good + broken);
    expect(made.current().secureContext).not.toBeUndefined();
    expect(problems).toEqual([expect.stringContaining(`number 2, at line ${lines + 1}`)]);
    expect(secureContext).toBeDefined();
  });
});
