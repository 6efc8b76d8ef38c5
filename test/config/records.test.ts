import { describe, expect, it } from 'vitest';
import { configOf, load, problemsOf, withSink, withSinks } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const { file } = scratch();
const key = 'a-key-of-more-than-16-bytes';
const problems = (...lines: string[]) => problemsOf(load(withSink('type: stdout', ...lines)));
const types = [
  ['type: stdout'],
  ['type: splunk-hec', 'url: https://a', 'token: t'],
  ['type: syslog', 'address: "udp://a"'],
];

describe('the record options of a sink', () => {
  it('take the hash key by value or by file', () => {
    const path = file('hash-key', `${key}\n`);
    const [first, second] = configOf(
      load(
        withSinks(
          ['type: stdout', 'hash: [user.id]', `hashKey: ${key}`],
          ['type: syslog', 'address: "udp://a"', 'hash: [user.id]', `hashKeyFile: ${path}`],
        ),
      ),
    ).sinks;
    expect(first?.hashKey?.current.reveal()).toBe(key);
    expect(second?.hashKeyFile?.current.reveal()).toBe(key);
    expect(JSON.stringify([first?.hashKey, second?.hashKeyFile])).not.toContain(key);
  });

  it.each(types)('needs one key of the hash and not two, and none without a hash: %s', (...type) => {
    const path = file('hash-key', key);
    const at = (line: number, column: number) => `c.yaml:${line}:${column}: sinks[0]`;
    const below = 5 + type.length;
    const found = (...lines: string[]) => problemsOf(load(withSink(...type, ...lines)));
    expect(found('hash: [user.id]')).toEqual([`${at(5, 5)}.hashKey: requires hashKey or hashKeyFile`]);
    expect(found('hash: [user.id]', `hashKey: ${key}`, `hashKeyFile: ${path}`)).toEqual([
      `${at(below + 2, 18)}.hashKeyFile: set hashKey or hashKeyFile, not both`,
    ]);
    expect(found(`hashKey: ${key}`)).toEqual([
      `${at(below, 14)}.hashKey: has no effect without hash: name the paths there`,
    ]);
  });

  it.each(types)('wraps nothing but json in an envelope: %s', (...type) => {
    const found = (format: string) => problemsOf(load(withSink(...type, 'envelope: true', `format: ${format}`)));
    expect(found('json')).toEqual([]);
    for (const format of ['cef', 'leef', 'ecs', 'ocsf'])
      expect(found(format)).toEqual([`c.yaml:${5 + type.length}:15: sinks[0].envelope: requires format: json`]);
  });

  it.each(['redact', 'hash'])('refuses paths of %s that would hide what must be seen, each where it stands', (list) => {
    const more = list === 'hash' ? [`hashKey: ${key}`] : [];
    expect(problems(`${list}: ["*", user.email, id, "", "\\\\id"]`, ...more)).toEqual([
      expect.stringMatching(/^c\.yaml:6:\d+: sinks\[0\]\.\w+\[0\]: would redact the whole event: name the fields$/),
      expect.stringMatching(/^c\.yaml:6:\d+: sinks\[0\]\.\w+\[2\]: would redact the id/),
      expect.stringMatching(/^c\.yaml:6:\d+: sinks\[0\]\.\w+\[3\]: must not be empty$/),
      expect.stringMatching(/^c\.yaml:6:\d+: sinks\[0\]\.\w+\[4\]: would redact the id/),
    ]);
  });

  it('refuse a filter that passes nothing', () => {
    expect(problems('filter: { include: [] }')).toEqual([
      'c.yaml:6:24: sinks[0].filter.include: would deliver nothing: name what is delivered, or remove the key',
    ]);
    expect(problems('filter: { exclude: [] }')).toEqual([]);
  });

  it('are verified beside mistakes in single keys', () => {
    expect(
      problems('envelope: true', 'format: cef', 'hash: [user.id]', 'filter: 5').map((text) => text.split(': ')[1]),
    ).toEqual(['sinks[0].hashKey', 'sinks[0].envelope', 'sinks[0].filter']);
  });

  it('lead to a warning for a key that can be guessed, and for one that others can read', () => {
    const path = file('open-hash-key', key, 0o644);
    const loaded = load(
      withSinks(
        ['type: stdout', 'hash: [user.id]', 'hashKey: short'],
        ['type: syslog', 'address: "udp://a"', 'hash: [user.id]', `hashKeyFile: ${path}`],
      ),
    );
    expect(loaded).toMatchObject({
      warnings: [
        `${path} is readable by every user of this machine: chmod o-r`,
        'sink stdout: the hash key has less than 16 bytes and can be guessed',
      ],
    });
  });
});
