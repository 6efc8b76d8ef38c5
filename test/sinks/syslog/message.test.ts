import { describe, expect, it } from 'vitest';
import { createFormat } from '../../../src/format/formats.ts';
import { composeMessage, composePayload, messageOptions } from '../../../src/sinks/syslog/message.ts';
import { syslogOptions, targetOf } from '../../../src/sinks/syslog/options.ts';
import { parse5424 } from '../../support/rfc5424.ts';
import { compose, composing, encoded, eventFromText, eventOf, options, sinkDeps } from '../../support/syslog.ts';

const event = {
  id: 12_345_678_901_234_567_890n,
  user: { id: 7, name: 'Zoë', email: 'zoe@example.com' },
  action: 'user.login',
  ip: '2001:db8::7',
  createdAt: '2026-03-05T01:02:03.456+05:30',
};

const write = (value: Record<string, unknown> & { id: number | bigint }, given: Record<string, unknown> = {}) =>
  String(compose(eventOf(value), given));

describe('the payload of a message', () => {
  const long = { ...event, meta: { text: 'x"\\\u0001\u2028é'.repeat(400), more: 'y'.repeat(3000) } };
  it.each([
    ['whole', event, {}],
    ['with control characters', { ...event, action: 'a\u0000b' }, {}],
    ['shortened', long, {}],
    ['shortened for UDP', long, { address: 'udp://127.0.0.1:514' }],
    ['of RFC 3164', event, { rfc: 3164 }],
  ])('is what follows the header, %s', (_, value, given) => {
    const made = messageOptions(options({ address: 'tcp://127.0.0.1:514', ...given }), sinkDeps());
    const record = encoded(eventOf(value));
    const [message, payload] = [composeMessage(record, made), composePayload(record, made)];
    if (!Buffer.isBuffer(message)) throw new Error(message.detail);
    expect(message.subarray(message.length - payload.length).equals(payload)).toBe(true);
    expect(String(message.subarray(0, message.length - payload.length))).not.toContain('{"id"');
    expect(() => JSON.parse(String(payload)) as unknown).not.toThrow();
  });

  it('is the record itself if the message is rejected', () => {
    const made = messageOptions(
      options({ address: 'udp://127.0.0.1:514', maxMessageBytes: 480, appName: 'x' }),
      sinkDeps(),
    );
    const record = encoded(eventOf({ ...event, action: 'z'.repeat(2_000) }));
    if (!Buffer.isBuffer(composeMessage(record, made))) expect(composePayload(record, made)).toBe(record.record);
  });
});

describe('an RFC 5424 message', () => {
  it('has facility, severity, time, tenant, application, action and structured data', () => {
    expect(write(event)).toBe(
      '<110>1 2026-03-04T19:32:03.456Z acme.eu1.qasphere.com qasphere - user.login ' +
        '[qasphere@32473 id="12345678901234567890" action="user.login" user="zoe@example.com" src="2001:db8::7" tenant="acme.eu1.qasphere.com"] ' +
        '{"id":12345678901234567890,"user":{"id":7,"name":"Zoë","email":"zoe@example.com"},"action":"user.login","ip":"2001:db8::7","createdAt":"2026-03-05T01:02:03.456+05:30"}',
    );
  });

  it('uses facility (name or number), appName and sdId from the options', () => {
    const given = { facility: 'local4', appName: 'audit', sdId: 'x@1.2' };
    expect(write(event, given)).toMatch(/^<166>1 \S+ \S+ audit - user\.login \[x@1\.2 id=/);
    expect(write(event, { facility: 0 })).toMatch(/^<6>1 /);
  });

  it.each([
    [
      'an action with spaces, quotes and more than 32 characters',
      { action: `a b"]\\=é🦊${'x'.repeat(50)}` },
      /^a_b"\]\\=___x{22}$/,
    ],
    ['no action', { action: undefined }, /^-$/],
    ['an empty action', { action: '' }, /^-$/],
    ['an action that is no text', { action: { a: 1 } }, /^-$/],
  ])('has a valid MSGID for %s', (_, given, msgid) => {
    expect(parse5424(write({ ...event, ...given })).msgid).toMatch(msgid);
  });

  it.each([
    ['none', undefined],
    ['no date', 'yesterday'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['a year that RFC 3339 does not know', '+012345-01-01T00:00:00Z'],
    ['a number', 1_700_000_000_000],
  ])('has the nil value for a time that is %s', (_, createdAt) => {
    expect(parse5424(write({ ...event, createdAt })).time).toBe('-');
  });

  it('leaves out missing parameters, and identifies the user by address, else name, else id', () => {
    expect(parse5424(write({ id: 1 })).sd).toEqual({ id: '1', tenant: 'acme.eu1.qasphere.com' });
    const userOf = (user: unknown) => parse5424(write({ id: 1, user })).sd['user'];
    expect(userOf(null)).toBeUndefined();
    expect(userOf({ id: 7, name: 'Zoë', email: null })).toBe('Zoë');
    expect(userOf({ id: 7, name: '' })).toBe('7');
    expect(userOf({ id: 2 ** 60 })).toBeUndefined();
    expect(userOf([])).toBeUndefined();
  });

  it('contains no redacted value in its header', () => {
    const whole = eventOf(event);
    const redacted = eventOf({ ...event, user: { email: '[redacted]' }, ip: '[redacted]' });
    const message = String(composeMessage({ event: whole, redacted, record: redacted.text }, composing()));
    expect(message).toContain('user="[redacted\\]" src="[redacted\\]"');
    expect(message).not.toMatch(/zoe|2001/);
  });

  it('has spaces for white space between JSON tokens', () => {
    const pretty = eventFromText(1n, '{\r\n\t"id": 1,\n "a": "x\\"\\\\"\n}');
    expect(parse5424(String(compose(pretty))).msg).toBe('{   "id": 1,  "a": "x\\"\\\\" }');
  });
});

describe('severity', () => {
  const severityOf = (action: string, given: Record<string, unknown> = {}) =>
    parse5424(write({ id: 1, action }, given)).severity;

  it.each([
    ['user.login', 6],
    ['user.login_failed', 4],
    ['auth.signin.failure', 4],
    ['role.permission.updated', 4],
    ['api_key.created', 4],
    ['user.suspended', 4],
    ['project.deleted', 4],
    ['testcase.removed', 5],
    ['sso.disabled', 3],
    ['role.read', 6],
    ['USER.LOGIN.FAILED', 4],
    ['', 6],
    ['something.new', 6],
  ])('of %s is %i', (action, severity) => expect(severityOf(action)).toBe(severity));

  it('is taken from the first matching glob, before the table of actions', () => {
    const severity = { 'user.*': 'debug', 'user.login_failed': 'alert', '*.deleted': 'crit', 'a*b*c': 'emerg' };
    expect(severityOf('user.login_failed', { severity })).toBe(7);
    expect(severityOf('x.y.deleted', { severity })).toBe(2);
    expect(severityOf('abbc', { severity })).toBe(0);
    expect(severityOf('ac', { severity })).toBe(6);
    expect(severityOf('role.deleted', { severity: { role: 'emerg', '*.delete': 'emerg' } })).toBe(4);
  });
});

describe('an RFC 3164 message', () => {
  it('has a space-padded day, the time in UTC, tenant and tag', () => {
    expect(write({ id: 1, action: 'x', createdAt: '2026-11-03T01:02:03.9+01:00' }, { rfc: 3164 })).toBe(
      '<110>Nov  3 00:02:03 acme.eu1.qasphere.com qasphere: {"id":1,"action":"x","createdAt":"2026-11-03T01:02:03.9+01:00"}',
    );
  });

  it('is the default for /dev/log, without a host name, and has the time of receipt if the event has no time', () => {
    expect(write({ id: 1 }, { address: 'unix:///dev/log' })).toBe('<110>Nov 23 00:00:00 qasphere: {"id":1}');
    expect(write({ id: 1 }, { address: 'unix:///run/other' })).toMatch(/^<110>1 - acme/);
    expect(write({ id: 1 }, { address: 'unix:///dev/log', rfc: 5424 })).toMatch(/^<110>1 - acme/);
  });

  it('has no tag before CEF and LEEF, except on a local socket, whose receiver requires one', () => {
    for (const name of ['cef', 'leef'] as const) {
      const format = createFormat(name, { envelope: false }, { tenant: 'acme.eu1.qasphere.com', version: '1' });
      const over = (address: string) => String(compose(eventOf({ id: 1 }), { address, rfc: 3164 }, format));
      expect(over('tcp://127.0.0.1')).toMatch(/^<110>Nov 23 00:00:00 acme\.eu1\.qasphere\.com (CEF:0|LEEF:2\.0)\|/);
      expect(over('unix:///dev/log')).toMatch(/^<110>Nov 23 00:00:00 qasphere: (CEF:0|LEEF:2\.0)\|/);
    }
  });

  it('has a valid tag', () => {
    expect(write({ id: 1 }, { rfc: 3164, appName: `a:b[1]/${'x'.repeat(39)}` })).toMatch(/ a_b_1__x{25}: /);
  });
});

describe('an address', () => {
  it.each([
    ['udp://siem.example.com', { transport: 'udp', host: 'siem.example.com', port: 514 }],
    ['tcp://[2001:db8::1]', { transport: 'tcp', host: '2001:db8::1', port: 514 }],
    ['tls://süd.example.com/', { transport: 'tls', host: 'xn--sd-xka.example.com', port: 6514 }],
    ['relp+tls://192.0.2.1:2514', { transport: 'relp+tls', host: '192.0.2.1', port: 2514 }],
    ['unix:///run/my%20log', { transport: 'unix', path: '/run/my log' }],
  ])('%s is parsed', (address, target) => expect(targetOf(address)).toEqual(target));

  it.each([
    'http://x', 'siem.example.com:514', 'tcp://', 'tcp://user@x', 'tcp://x/y', 'tcp://x?y', 'unix://run/log', 'unix:///',
    'relp://x', 'relp+tls://x', 'tcp://x:99999',
  ])('%s is refused', (address) => expect(syslogOptions.safeParse({ type: 'syslog', address }).success).toBe(false)); // biome-ignore format: a table

  it('accepts a tls block only with a TLS transport', () => {
    const tls = { servername: 'x' };
    expect(syslogOptions.safeParse({ type: 'syslog', address: 'tcp://x', tls }).success).toBe(false);
    for (const address of ['tls://x', 'relp+tls://x:1'])
      expect(syslogOptions.safeParse({ type: 'syslog', address, tls }).success).toBe(true);
  });

  it.each(['udp://x', 'relp://x:1', 'relp+tls://x:1'])('refuses framing for %s and names the reason', (address) => {
    const parsed = syslogOptions.safeParse({ type: 'syslog', address, framing: 'newline' });
    expect(parsed.error?.issues).toMatchObject([
      { path: ['framing'], message: expect.stringMatching(/^has no effect here: (udp|relp|relp\+tls):\/\/ /) },
    ]);
  });

  it.each(['tcp://x', 'tls://x', 'unix:///run/log'])('accepts framing for %s', (address) => {
    for (const framing of ['newline', 'octet-counting'])
      expect(syslogOptions.safeParse({ type: 'syslog', address, framing }).success).toBe(true);
  });

  it('refuses a maxMessageBytes that no UDP datagram can hold', () => {
    const over = (address: string, maxMessageBytes: number) =>
      syslogOptions.safeParse({ type: 'syslog', address, maxMessageBytes }).success;
    expect([over('udp://x', 65_507), over('udp://x', 65_508), over('tcp://x', 65_508)]).toEqual([true, false, true]);
  });

  it.each(['ecs', 'ocsf'])('refuses a maxMessageBytes that no record of format %s fits into', (format) => {
    const parse = (maxMessageBytes: number) =>
      syslogOptions.safeParse({ type: 'syslog', address: 'udp://x', format, maxMessageBytes });
    expect(parse(1_000).success).toBe(true);
    expect(parse(999).error?.issues).toMatchObject([
      { path: ['maxMessageBytes'], message: `is too small for format ${format}: at least 1000` },
    ]);
  });
});
