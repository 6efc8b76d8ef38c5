import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { defaultFile, loadConfig } from '../../src/config/load.ts';
import {
  configOf,
  key,
  load,
  loadEnvironment,
  problemsOf,
  withRoot,
  withSink,
  withSource,
} from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { directory, file } = scratch();

const inEnvironment = { QASPHERE_URL: 'https://env.eu1.qasphere.com', QASPHERE_API_KEY: 'k' };

describe('the configuration', () => {
  it('comes from the named file, not from the default file or the environment', () => {
    const path = file('named.yaml', withSource());
    const loaded = loadConfig({ file: path, env: { ...inEnvironment } });
    expect(configOf(loaded).source.url).toBe('https://acme.eu1.qasphere.com');
    expect(loaded).toMatchObject({ path, warnings: [] });
  });

  it('comes from the default file if none is named', () => {
    const asked: string[] = [];
    const readFile = (path: string) => {
      asked.push(path);
      return Buffer.from(withSource());
    };
    const loaded = loadConfig({ env: { ...inEnvironment }, readFile });
    expect(asked).toEqual(['/etc/qasphere-siem-forwarder/config.yaml']);
    expect(configOf(loaded).source.url).toBe('https://acme.eu1.qasphere.com');
    expect(loaded).toMatchObject({ path: defaultFile });
  });

  it('comes from the environment alone if there is no file', () => {
    const loaded = loadEnvironment(inEnvironment);
    expect(configOf(loaded).source.url).toBe('https://env.eu1.qasphere.com');
    expect(loaded).not.toHaveProperty('path');
  });

  it('does not come from the environment if the file is not readable', () => {
    const readFile = () => {
      throw Object.assign(new Error(), { code: 'EACCES' });
    };
    expect(problemsOf(loadConfig({ env: inEnvironment, readFile }))).toEqual([
      `${defaultFile}: is not readable by this user`,
    ]);
    const missing = join(directory, 'missing.yaml');
    expect(problemsOf(loadConfig({ file: missing, env: inEnvironment }))).toEqual([`${missing}: does not exist`]);
    expect(problemsOf(loadConfig({ file: directory, env: inEnvironment }))).toEqual([`${directory}: is a directory`]);
    const large = file('large.yaml', `# ${'x'.repeat(2 * 1024 ** 2)}`);
    expect(problemsOf(loadConfig({ file: large, env: inEnvironment }))).toEqual([`${large}: is larger than 1 MiB`]);
  });

  it('has the defaults of the contract', () => {
    const config = configOf(load(withSink('type: splunk-hec', 'url: https://a.example.com:8088/', 'token: t')));
    expect(config).toMatchObject({
      source: {
        url: 'https://acme.eu1.qasphere.com',
        authScheme: 'Bearer',
        schedule: '*/15 * * * * *',
        pageSize: 1000,
        requestsPerSecond: 10,
        startAt: { kind: 'beginning' },
        settle: 60_000,
        onKeyRejected: 'exit',
        restrictedKey: 'warn',
        timeout: 30_000,
      },
      state: { directory: './state' },
      sinks: [{ name: 'splunk-hec', url: 'https://a.example.com:8088', acknowledgement: 'auto', ackTimeout: 300_000 }],
      telemetry: {},
      log: { level: 'info' },
      shutdownTimeout: 8000,
    });
    expect(config.source.tls).toBeUndefined();
    expect(config.source.proxy).toBeUndefined();
  });

  it.each([
    ['https://acme.eu1.qasphere.com/', 'https://acme.eu1.qasphere.com'],
    ['https://ACME.eu1.qasphere.com:443', 'https://acme.eu1.qasphere.com'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['http://localhost:8080/', 'http://localhost:8080'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('takes the address %s as the origin %s', (url, origin) => {
    expect(configOf(load(withSource().replace('https://acme.eu1.qasphere.com', url))).source.url).toBe(origin);
  });

  it('has the values of the file', () => {
    const more = [
      'settle: 0s',
      'pageSize: 1',
      'requestsPerSecond: 0.5',
      'startAt: 2026-01-31',
      'schedule: "0 * * * *"',
    ];
    expect(configOf(load(withSource(...more))).source).toMatchObject({
      settle: 0,
      pageSize: 1,
      requestsPerSecond: 0.5,
      startAt: { kind: 'time', timeMs: Date.UTC(2026, 0, 31) },
      schedule: '0 * * * *',
    });
    const listens = { '127.0.0.1:9464': '127.0.0.1', '[::1]:9464': '::1', 'localhost:9464': 'localhost' };
    for (const [listen, host] of Object.entries(listens))
      expect(configOf(load(withRoot(`telemetry: { listen: "${listen}" }`))).telemetry.listen).toEqual({
        host,
        port: 9464,
      });
  });

  it('reads a number or a boolean from a variable only if the key does not take text', () => {
    const env = { ...key, N: '5', B: 'true', F: '13', D: '2s', A: 'auto' };
    const source = configOf(
      load(withSource('pageSize: ${N}', 'requestsPerSecond: "${UNSET:-1.5}"', 'timeout: ${D}'), env),
    );
    expect(source.source).toMatchObject({ pageSize: 5, requestsPerSecond: 1.5, timeout: 2000 });
    const hec = ['type: splunk-hec', 'url: https://a', 'token: ${N}', 'index: ${N}', 'acknowledgement: ${B}'];
    const [sink] = configOf(load(withSink(...hec, 'batch: { maxBytes: "${UNSET:-2048}" }'), env)).sinks;
    expect(sink).toMatchObject({ index: '5', acknowledgement: true, batch: { maxBytes: 2048 } });
    expect(sink?.type === 'splunk-hec' && sink.token.current.reveal()).toBe('5');
    expect(configOf(load(withSink(...hec.slice(0, 4), 'acknowledgement: ${A}'), env)).sinks[0]).toMatchObject({
      acknowledgement: 'auto',
    });
    expect(configOf(load(withSink('type: syslog', 'address: udp://a', 'facility: ${F}'), env)).sinks[0]).toMatchObject({
      facility: 13,
    });
    expect(problemsOf(load(withSource('pageSize: "5"'), env))).toHaveLength(1);
    expect(problemsOf(load(withSource('pageSize: "1${N}"'), env))).toHaveLength(1);
  });

  it('prefers LOG_LEVEL to the level in the file', () => {
    expect(configOf(load(withRoot('log: { level: warn }'), { ...key, LOG_LEVEL: 'DEBUG' })).log.level).toBe('debug');
    expect(configOf(load(withRoot(), { ...key, LOG_LEVEL: 'error' })).log.level).toBe('error');
    expect(configOf(load(withRoot('log: { level: warn }'), { ...key, LOG_LEVEL: '' })).log.level).toBe('warn');
    expect(problemsOf(load(withRoot(), { ...key, LOG_LEVEL: 'loud' }))).toEqual([
      'LOG_LEVEL: log.level: must be trace, debug, info, warn, error or fatal',
    ]);
  });

  it('uses the first directory of STATE_DIRECTORY if the file names none', () => {
    const env = { ...key, STATE_DIRECTORY: '/var/lib/a:/var/lib/b' };
    expect(configOf(load(withRoot(), env)).state.directory).toBe('/var/lib/a');
    expect(configOf(load(withRoot('state: { directory: /x }'), env)).state.directory).toBe('/x');
    expect(configOf(loadEnvironment({ ...inEnvironment, STATE_DIRECTORY: '/y' })).state.directory).toBe('/y');
  });

  it('uses systemd credentials if neither value nor file is set', () => {
    const CREDENTIALS_DIRECTORY = join(directory, 'credentials');
    const path = file('credentials/qasphere-api-key', 'from systemd\n', 0o400);
    const token = file('credentials/splunk-hec-token', 'hec from systemd', 0o400);
    const hec = ['type: splunk-hec', 'url: https://a'];
    const bare = withSink(...hec).replace(/ {2}apiKey.*\n/, '');
    const config = configOf(load(bare, { CREDENTIALS_DIRECTORY }));
    expect(config.source.apiKey).toMatchObject({ path });
    expect(config.source.apiKey.current.reveal()).toBe('from systemd');
    expect(config.sinks[0]).toMatchObject({ token: { path: token } });
    expect(configOf(load(withSource(), { ...key, CREDENTIALS_DIRECTORY })).source.apiKey.current.reveal()).toBe(
      'a-key',
    );
    const own = file('own-key', 'own');
    const withFile = withSource(`apiKeyFile: ${own}`).replace(/ {2}apiKey:.*\n/, '');
    expect(configOf(load(withFile, { CREDENTIALS_DIRECTORY })).source.apiKey).toMatchObject({ path: own });
    const env = { QASPHERE_URL: 'https://a', SPLUNK_HEC_URL: 'https://b', CREDENTIALS_DIRECTORY };
    expect(configOf(loadEnvironment(env)).sinks).toMatchObject([{ name: 'splunk', token: { path: token } }]);

    file('bad/qasphere-api-key', '\n', 0o400);
    expect(problemsOf(load(bare, { CREDENTIALS_DIRECTORY: join(directory, 'bad') }))).toEqual([
      '$CREDENTIALS_DIRECTORY/qasphere-api-key: source.apiKeyFile: the file is empty',
      'c.yaml:4:5: sinks[0].token: requires token or tokenFile',
    ]);
  });

  it('reads a secret file again on request, and keeps the old secret if that fails', () => {
    const path = file('rotating', 'one\n');
    const { apiKey } = configOf(load(withSource(`apiKeyFile: ${path}`).replace(/ {2}apiKey:.*\n/, ''))).source;
    expect(apiKey.current.reveal()).toBe('one');
    expect(apiKey.refresh()).toBe(false);
    writeFileSync(path, 'two\r\n');
    expect(apiKey.refresh()).toBe(true);
    expect(apiKey.current.reveal()).toBe('two');
    writeFileSync(path, '');
    expect(apiKey.refresh()).toBe(false);
    expect(apiKey.current.reveal()).toBe('two');
  });

  it('requires exactly one form of a secret', () => {
    const path = file('second', 'x');
    expect(problemsOf(load(withSource(`apiKeyFile: ${path}`)))).toEqual([
      'c.yaml:4:15: source.apiKeyFile: set apiKey or apiKeyFile, not both',
    ]);
    expect(problemsOf(load(withSource().replace(/ {2}apiKey:.*\n/, '')))).toEqual([
      'c.yaml:1:1: source.apiKey: requires apiKey or apiKeyFile',
    ]);
  });

  it('shows no secret in whatever way it is printed', () => {
    const secrets = { QASPHERE_API_KEY: 'c4n4ry-key', SPLUNK_HEC_TOKEN: 'c4n4ry-token', P: 'c4n4ry-password' };
    const hec = ['type: splunk-hec', 'url: https://a', 'token: ${SPLUNK_HEC_TOKEN}', 'proxy: http://u:${P}@b'];
    const config = configOf(load(withSink(...hec), secrets));
    const bigint = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
    const printed = [inspect(config, { depth: 9, showHidden: true }), JSON.stringify(config, bigint), String(config)];
    expect(printed.join('')).not.toContain('c4n4ry');
    expect(config.source.apiKey.current.reveal()).toBe('c4n4ry-key');
  });
});
