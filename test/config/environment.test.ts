import { describe, expect, it } from 'vitest';
import { configOf, loadEnvironment, problemsOf } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { file } = scratch();

const inEnvironment = { QASPHERE_URL: 'https://env.eu1.qasphere.com', QASPHERE_API_KEY: 'k' };

describe('the environment alone', () => {
  it('configures a stdout sink if it configures no other', () => {
    expect(configOf(loadEnvironment(inEnvironment)).sinks).toMatchObject([{ name: 'stdout', type: 'stdout' }]);
  });

  it('configures everything that has a variable', () => {
    const token = file('token', 't');
    const config = configOf(
      loadEnvironment({
        QASPHERE_URL: 'https://a',
        QASPHERE_API_KEY_FILE: file('key', 'k'),
        SPLUNK_HEC_URL: 'http://b',
        SPLUNK_HEC_TOKEN_FILE: token,
        SPLUNK_HEC_INDEX: '7',
        SPLUNK_HEC_ALLOW_PLAIN_HTTP: 'true',
        SYSLOG_ADDRESS: 'tcp://c:601',
        SYSLOG_FORMAT: 'cef',
        STATE_DIRECTORY: '/d',
        LOG_LEVEL: 'warn',
        TELEMETRY_LISTEN: '0.0.0.0:1',
        SCHEDULE: '* * * * *',
        START_AT: '9007199254740993',
        SETTLE: '0s',
      }),
    );
    expect(config).toMatchObject({
      source: { url: 'https://a', schedule: '* * * * *', startAt: { kind: 'id', id: 9007199254740993n }, settle: 0 },
      sinks: [
        {
          name: 'splunk',
          type: 'splunk-hec',
          url: 'http://b',
          index: '7',
          allowPlainHttp: true,
          token: { path: token },
        },
        { name: 'syslog', type: 'syslog', address: 'tcp://c:601', format: 'cef' },
      ],
      state: { directory: '/d' },
      log: { level: 'warn' },
      telemetry: { listen: { host: '0.0.0.0', port: 1 } },
    });
  });

  it('names the variable of every problem, and the variables that solve it', () => {
    const env = {
      QASPHERE_URL: 'https://a/b',
      SPLUNK_HEC_TOKEN: 't',
      SYSLOG_FORMAT: 'xml',
      SETTLE: '5',
      SCHEDULE: 'x',
    };
    expect(problemsOf(loadEnvironment(env))).toEqual([
      'QASPHERE_URL: source.url: must not have a path: only scheme, host and port',
      'SCHEDULE: source.schedule: write five cron fields, or six with seconds first',
      'SETTLE: source.settle: write a duration such as 500ms, 15s, 5m or 1h',
      'QASPHERE_API_KEY: source.apiKey: requires QASPHERE_API_KEY or QASPHERE_API_KEY_FILE',
      'SPLUNK_HEC_URL: sinks[0].url: is missing',
      'SYSLOG_FORMAT: sinks[1].format: must be json, cef, leef, ecs or ocsf',
      'SYSLOG_ADDRESS: sinks[1].address: is missing',
    ]);
    expect(
      problemsOf(loadEnvironment({ ...inEnvironment, SPLUNK_HEC_URL: 'http://b', SPLUNK_HEC_ALLOW_PLAIN_HTTP: 'yes' })),
    ).toEqual([
      'SPLUNK_HEC_ALLOW_PLAIN_HTTP: sinks[0].allowPlainHttp: must be true or false',
      'SPLUNK_HEC_TOKEN: sinks[0].token: requires SPLUNK_HEC_TOKEN or SPLUNK_HEC_TOKEN_FILE',
      'SPLUNK_HEC_URL: sinks[0].url: http:// would send the token in clear: use https://, or set SPLUNK_HEC_ALLOW_PLAIN_HTTP=true',
    ]);
  });

  it('that is empty leads to a hint about configuration files', () => {
    const [first = ''] = problemsOf(loadEnvironment({}));
    expect(first).toMatch(
      /^QASPHERE_URL: source\.url: is missing, and there is no configuration file: .*--config.*config\.yaml does not exist$/,
    );
  });

  it('ignores empty variables and replaces no references in values', () => {
    const env = { ...inEnvironment, SPLUNK_HEC_URL: '', SYSLOG_ADDRESS: '', START_AT: '', QASPHERE_API_KEY: '${HOME}' };
    const config = configOf(loadEnvironment(env));
    expect(config.sinks).toMatchObject([{ type: 'stdout' }]);
    expect(config.source.apiKey.current.reveal()).toBe('${HOME}');
  });
});
