import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodingOptions } from '../../src/app/build-pipeline.ts';
import type { Context } from '../../src/app/context.ts';
import { Notifier } from '../../src/lib/notifier.ts';
import { EncodingFailure, encodeEvent } from '../../src/pipeline/encode.ts';
import { auditEvent } from '../support/audit-events.ts';
import { configOf, load, withSink } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { file } = scratch();
const key = 'a-key-of-more-than-16-bytes';
const pseudonym = (text: string) => createHmac('sha256', key).update(text).digest('hex');
const ctx: Context = {
  version: '1.2.3',
  env: {},
  emit: () => {},
  now: () => 0,
  random: () => 0,
  wake: new Notifier(),
};

/** The record of `text` in a stdout sink with these lines. */
function recordOf(text: string, lines: readonly string[], rest = ''): string {
  const config = configOf(load(`${withSink('type: stdout', ...lines)}${rest}`));
  const [sink] = config.sinks;
  if (sink === undefined) throw new Error('no sink');
  const shaped = encodeEvent(auditEvent(text), encodingOptions(sink, config, ctx));
  if (shaped === undefined) return 'filtered';
  return shaped instanceof EncodingFailure ? 'broken' : shaped.record.toString();
}

describe('the record that a sink gets of an event', () => {
  const text = '{"id":1,"user":{"id":18,"email":"a@b.test"}, "action":"user.login","meta":{"token":"t","n":1.0}}';

  it('is hashed and redacted as configured, with the key by value or by file', () => {
    const wanted = text
      .replace('18', `"${pseudonym('18')}"`)
      .replace('a@b.test', pseudonym('a@b.test'))
      .replace('"t"', '"[redacted]"');
    const lines = ['redact: [meta.token]', 'hash: [user.id, user.email]'];
    expect(recordOf(text, [...lines, `hashKey: ${key}`])).toBe(wanted);
    expect(recordOf(text, [...lines, `hashKeyFile: ${file('hash-key', `${key}\n`)}`])).toBe(wanted);
  });

  it.each(['cef', 'leef', 'ecs', 'ocsf'])('names no one who is hashed, in %s', (format) => {
    const record = recordOf(text, [`format: ${format}`, 'hash: [user.email]', `hashKey: ${key}`]);
    expect(record).toContain(pseudonym('a@b.test'));
    expect(record).not.toContain('a@b.test');
  });

  it('has the meaning that a custom actions table gives it', () => {
    const table = `actions: [{ match: [user.login], category: own_category, activity: own, outcome: success, severity: high,
  ocsf: { class: authentication, activity: 1 }, ecs: { category: [authentication], type: [start] } }]`;
    const record = recordOf(text, ['format: cef'], `actionsFile: ${file('own.yaml', table)}\n`);
    expect(record).toContain('cat=own_category');
    expect(record).toContain('|User login|8|');
  });

  it('is absent if the filter excludes its action, even if the action is redacted', () => {
    const lines = ['filter: { exclude: ["user.*"] }', 'redact: [action]'];
    expect(recordOf(text, lines)).toBe('filtered');
    expect(recordOf(text.replace('user.login', 'project.read'), lines)).toContain('"action":"[redacted]"');
  });
});
