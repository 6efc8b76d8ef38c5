import { expect, it } from 'vitest';
import { auditEvent, eventValue } from '../../src/event/event.ts';
import { redactor } from '../../src/format/redact.ts';

const eventOf = (text: string) => auditEvent({ id: 1n, text: Buffer.from(text), receivedAtMs: 0 });

it.each<[string, string, object]>([
  [
    'the email address, else the name, else the id',
    '{"user":{"id":7,"name":"Ann","email":"ann@acme.test"}}',
    { user: 'ann@acme.test' },
  ],
  ['a name where the email is empty', '{"user":{"id":7,"name":"Ann","email":""}}', { user: 'Ann' }],
  ['an id where nothing else is text', '{"user":{"id":7,"name":null,"email":[]}}', { user: '7' }],
  ['a user that is a string', '{"user":"ann"}', { user: 'ann' }],
  ['no user for a system event', '{"user":null}', { user: undefined }],
  ['an action that is not text as none', '{"action":3}', { action: '' }],
  ['an address that is not text as none', '{"ip":{}}', { ip: undefined }],
  ['a time', '{"createdAt":"2026-11-24T10:00:00Z"}', { createdAtMs: Date.UTC(2026, 10, 24, 10) }],
  ['a number for a time as none', '{"createdAt":1764000000000}', { createdAtMs: undefined }],
])('an event names %s', (_, text, expected) => {
  expect(eventOf(text)).toMatchObject(expected);
});

it('an event with an array nested 100,000 levels deep is parsed without a stack overflow', () => {
  const event = eventOf(`{"meta":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  expect(Object.keys(eventValue(event))).toEqual(['meta']);
});

it('a redacted copy has neither the time nor the action that were redacted', () => {
  const event = eventOf('{"id":1,"action":"user.login","createdAt":"2026-11-24T10:00:00Z"}');
  const redacted = redactor(['createdAt', 'action'])(event);
  expect(event).toMatchObject({ action: 'user.login', createdAtMs: Date.UTC(2026, 10, 24, 10) });
  expect(redacted).toMatchObject({ action: '[redacted]', createdAtMs: undefined });
});
