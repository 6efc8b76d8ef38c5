import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/lib/options/values.ts';
import {
  configOf,
  load,
  loadEnvironment,
  problemsOf,
  withRoot,
  withSink,
  withSource,
} from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { file } = scratch();
const hec = ['type: splunk-hec', 'url: https://a', 'token: t'];

describe('a duration', () => {
  const places: [string, (text: string) => string][] = [
    ['source.settle', (text) => withSource(`settle: ${text}`)],
    ['source.timeout', (text) => withSource(`timeout: ${text}`)],
    ['shutdownTimeout', (text) => withRoot(`shutdownTimeout: ${text}`)],
    ['telemetry.otlp.interval', (text) => withRoot(`telemetry: { otlp: { endpoint: "http://a", interval: ${text} } }`)],
    ['sinks[0].heartbeat', (text) => withSink('type: stdout', `heartbeat: ${text}`)],
    ['sinks[0].timeout', (text) => withSink('type: syslog', 'address: tcp://a', `timeout: ${text}`)],
    ['sinks[0].timeout', (text) => withSink(...hec, `timeout: ${text}`)],
    ['sinks[0].ackTimeout', (text) => withSink(...hec, `ackTimeout: ${text}`)],
  ];

  it.each(places)('of %s is at most what a timer can wait: 24 days', (path, text) => {
    expect(problemsOf(load(text('24d')))).toEqual([]);
    for (const above of ['25d', '30d', '600h', '2147483648ms'])
      expect(problemsOf(load(text(above)))).toEqual([
        expect.stringMatching(new RegExp(`: ${path.replace(/[[\]]/g, '\\$&')}: must be between \\d+m?s and 24d$`)),
      ]);
  });

  it('of a flag too', () => {
    expect(parseDuration('24d')).toBe(24 * 86_400_000);
    expect(parseDuration('30d')).toBeUndefined();
  });
});

describe('a secret', () => {
  const loadKey = (content: string | Buffer) => {
    const path = file('key', '');
    writeFileSync(path, content);
    return load(withSource().replace(/apiKey: .*/, `apiKeyFile: ${path}`), {});
  };

  it.each([
    ['a byte order mark', '\ufeffkey-1'],
    ['a Windows line end', 'key-1\r\n'],
    ['several line ends', 'key-1\n\n'],
    ['blanks around', '  key-1 \t'],
    ['all of it', '\ufeff \r\nkey-1 \r\n'],
  ])('in a file is read without %s', (_, text) => {
    const loaded = loadKey(text);
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    expect(configOf(loaded).source.apiKey.current.reveal()).toBe('key-1');
  });

  it('given by value is read without them too', () => {
    const loaded = load(withSource(), { QASPHERE_API_KEY: '\ufeffkey-1 \r\n' });
    expect(configOf(loaded).source.apiKey.current.reveal()).toBe('key-1');
  });

  it.each([
    ['c4n4ry\tc4n4ry', 'contains a control character, a tab, at line 1, column 7'],
    ['\ufeffc4n4ry\tc4n4ry', 'contains a control character, a tab, at line 1, column 7'],
    ['\n\nc4n4ry\r\nsecond', 'contains a control character, a carriage return, at line 3, column 7'],
    ['c4n4ry\nsecond\n', 'contains a control character, a line feed, at line 1, column 7'],
    ['c4n\u001b4ry', 'contains a control character, U+001B, at line 1, column 4'],
    ['c4n4ry\0', 'contains a control character, U+0000, at line 1, column 7'],
    ['c4n4ry€', 'contains a character that is not allowed in an HTTP header, U+20AC, at line 1, column 7'],
    [' \r\n', 'is empty'],
    [Buffer.from('key-1', 'utf16le'), 'is not UTF-8 text (UTF-16?): save it as UTF-8'],
    [Buffer.from('\ufeffkey-1', 'utf16le'), 'is not UTF-8 text (UTF-16?): save it as UTF-8'],
  ])('in a file is refused for %j', (text, message) => {
    const problems = problemsOf(loadKey(text));
    expect(problems).toEqual([expect.stringMatching(/source\.apiKeyFile: the file /)]);
    expect(problems[0]).toContain(message);
    expect(problems[0]).not.toContain('c4n4ry');
  });
});

describe('a $NAME without braces', () => {
  const env = { QASPHERE_API_KEY: 'k', HOST: 'h', SECRET: 'c4n4ry' };

  it('is used as it is, and warned about once, with its place and without its text', () => {
    const text = withSink(...hec.slice(0, 2), 'token: $SPLUNK_HEC_TOKEN', 'host: $HOST', 'index: a-$HOST');
    expect(load(text, env)).toMatchObject({
      ok: true,
      warnings: [
        'c.yaml:7:12: sinks[0].token: contains a $ that is taken literally, as do sinks[0].host, sinks[0].index: to use a variable, write ${NAME}',
      ],
    });
  });

  it('is not suspected in a password with a $, in $${ or beside ${NAME}', () => {
    const text = withSink(...hec.slice(0, 2), 'token: "pa$word$$1$"', 'host: ${HOST}', 'index: $${HOST}');
    expect(load(text, env)).toMatchObject({ ok: true, warnings: [] });
  });

  it('is suspected in a variable, where nothing is replaced', () => {
    for (const value of ['$SECRET', '${SECRET}'])
      expect(loadEnvironment({ QASPHERE_URL: 'https://a.com', QASPHERE_API_KEY: value })).toMatchObject({
        ok: true,
        warnings: [
          'QASPHERE_API_KEY: source.apiKey: contains a $ that is taken literally: variables are not replaced here',
        ],
      });
  });
});
