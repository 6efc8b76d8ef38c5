import { describe, expect, it } from 'vitest';
import { configOf, load, problemsOf, withRoot, withSink, withSource } from '../support/configuration.ts';

const problems = (text: string | Buffer) => problemsOf(load(text));

describe('a configuration file', () => {
  it('may contain at most 100 uses of aliases', () => {
    const uses = (count: number) => withSink('type: stdout', `redact: [&a x, ${Array(count).fill('*a').join(', ')}]`);
    expect(problems(uses(100))).toEqual([]);
    expect(problems(uses(101))).toEqual([expect.stringContaining('more than 100 uses of aliases')]);
  });

  it('does not expand nested aliases without limit', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`);
    expect(problems(`l0: &l0 [x]\n${levels.join('\n')}\n`)).toEqual([
      expect.stringContaining('more than 100 uses of aliases'),
    ]);
  });

  it('does not expand a hundred aliases of a long list without limit', () => {
    const list = `long: &long [${Array(200_000).fill('1').join(',')}]\n`;
    expect(problems(`${list}all: [${Array(100).fill('*long').join(', ')}]\n`)).toEqual([
      expect.stringContaining('more than 50000 values'),
    ]);
  });

  it('must not contain an alias of itself or without an anchor', () => {
    expect(problems(withRoot('telemetry: &t { listen: *t }'))).toEqual([
      'c.yaml:6:25: telemetry: is nested too deeply',
    ]);
    expect(problems(withRoot('telemetry: *nothing'))).toEqual([
      'c.yaml:6:12: telemetry: is an alias without an anchor above it',
    ]);
  });

  it('may be 1 MiB long, but not 2', () => {
    const padded = (bytes: number) => withRoot(`# ${'x'.repeat(bytes - withRoot('# ').length)}`);
    expect(padded(1024 ** 2)).toHaveLength(1024 ** 2);
    expect(problems(padded(1024 ** 2))).toEqual([]);
    expect(problems(padded(1024 ** 2 + 1))).toEqual(['c.yaml: is larger than 1 MiB']);
    expect(problems(padded(2 * 1024 ** 2))).toEqual(['c.yaml: is larger than 1 MiB']);
  });

  it('must not be nested without limit', () => {
    for (const [open, close] of [['[', ']'] as const, ['{a: ', '}'] as const])
      for (const depth of [65, 500, 50_000])
        expect(problems(`sinks: ${open.repeat(depth)}${close.repeat(depth)}\n`).join('\n')).toContain(
          'nested too deep',
        );
  });

  it('must not contain merge keys', () => {
    expect(problems(withRoot('x: &x { level: info }', 'log: { <<: *x }'))).toContain(
      'c.yaml:7:8: log[…]: merge keys are not supported',
    );
  });

  it.each(['!custom info', '!!str info', '!!binary aW5mbw==', '! info', '!<tag:x> info'])(
    'must not contain tags: %s',
    (value) => {
      expect(problems(withRoot('log:', `  level: ${value}`))).toEqual([
        expect.stringMatching(/^c\.yaml:7:\d+: log\.level: has a YAML tag/),
      ]);
    },
  );

  it('must not contain a key twice; the problem names the first place', () => {
    expect(problems(withSource('pageSize: 5', 'timeout: 5s', 'pageSize: 5'))).toEqual([
      'c.yaml:6:3: source.pageSize: is a duplicate: line 4 has it already',
    ]);
  });

  it.each(['__proto__: { polluted: true }', '"__proto__": 1'])('does not reach a prototype through %s', (line) => {
    expect(problems(withRoot(line))).toEqual(['c.yaml:6:1: __proto__: is not a valid key']);
    expect('polluted' in {}).toBe(false);
  });

  it('does not take inherited properties for settings', () => {
    expect(problems(withRoot('constructor: 1', 'toString: 2'))).toEqual([
      expect.stringMatching(/^c\.yaml:6:1: constructor: unknown key/),
      expect.stringMatching(/^c\.yaml:7:1: toString: unknown key/),
    ]);
  });

  it('is one document of YAML 1.2', () => {
    expect(problems(`${withRoot()}---\nsource: {}\n`)).toEqual([expect.stringContaining('only one document')]);
    expect(problems(`%YAML 1.1\n---\n${withRoot()}`)).toEqual(['c.yaml:1:1: only YAML 1.2 is supported']);
    expect(problems(`%YAML 1.2\n---\n${withRoot()}`)).toEqual([]);
    expect(problems(withRoot('telemetry: { listen: no }'))).toEqual([expect.stringContaining('HOST:PORT')]);
  });

  it('is UTF-8, with or without a byte order mark', () => {
    expect(problems(Buffer.from([0x61, 0xff]))).toEqual(['c.yaml: is not UTF-8 text: save it as UTF-8']);
    expect(problems(`\ufeff${withSource('pageSize: 0')}`)).toEqual([expect.stringMatching(/^c\.yaml:4:13: /)]);
  });

  it.each([
    ['an unclosed quote', 'log:\n  level: "info\nx: 1\n'],
    ['a tab', 'log:\n\tlevel: info\n'],
    ['a second key on a line', 'log: level: info\n'],
    ['a key without a colon', 'log:\n  level\n  x: 1\n'],
    ['a stray bracket', 'log: ]\n'],
    ['an unknown escape', 'log: "\\q"\n'],
    ['a wrong indentation', 'log:\n    level: info\n  x: 1\n'],
  ])('with %s is told so, by position, and nothing else', (_, text) => {
    const all = problems(text);
    expect(all.length).toBeGreaterThan(0);
    for (const problem of all) expect(problem).toMatch(/^c\.yaml:\d+:\d+: /);
    expect(all.join()).not.toMatch(/is missing$|\([A-Z_]+\)/);
  });

  it('that is empty is reported to lack its two blocks', () => {
    expect(problems('# nothing\n')).toEqual(['c.yaml:1:1: source: is missing', 'c.yaml:1:1: sinks: is missing']);
    expect(problems('- a\n')).toEqual(['c.yaml:1:1: must be a map of keys']);
  });

  it('keeps an event id beyond 2^53 to its last digit', () => {
    const startAt = (value: string) => configOf(load(withSource(`startAt: ${value}`))).source.startAt;
    for (const id of ['9007199254740993', '9223372036854775807'])
      for (const written of [id, `"${id}"`, `'${id}'`])
        expect(startAt(written)).toEqual({ kind: 'id', id: BigInt(id) });
    const env = { QASPHERE_API_KEY: 'k', START: '9007199254740993', FLOAT: '1e3' };
    expect(problemsOf(load(withSource('startAt: ${FLOAT}'), env))).toHaveLength(1);
    expect(configOf(load(withSource('startAt: ${START}'), env)).source.startAt).toEqual({
      kind: 'id',
      id: 9007199254740993n,
    });
  });

  it.each([
    '9223372036854775808',
    '1e3',
    '0x10',
    '-1',
    '1.5',
    'yesterday',
    '2026-13-01',
    '2026-01-01T00:00:00',
    'true',
    '[]',
  ])('does not take %s for a start', (value) => {
    expect(problems(withSource(`startAt: ${value}`))).toEqual([
      expect.stringMatching(/^c\.yaml:4:12: source\.startAt: write beginning, now, an event id, or an ISO timestamp/),
    ]);
  });
});
