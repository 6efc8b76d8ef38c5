import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createActions } from '../../src/format/actions.ts';
import { splunkHecOptions } from '../../src/sinks/splunk-hec/options.ts';
import { actions } from '../../src/testing/simulator/actions.ts';
import { ChainBuilder } from '../support/chains.ts';

const directory = join(import.meta.dirname, '../../config/splunk/TA_qasphere');
const read = (path: string) => readFileSync(join(directory, path), 'utf8');
type Stanzas = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Splunk's .conf: stanzas of `key = value`, comments at the start of a line, a backslash at its end goes on. */
function parseConf(text: string): Stanzas {
  const stanzas = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const [index, line] of text.replaceAll('\\\n', '').split('\n').entries()) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    const stanza = /^\[(.*)\]$/.exec(line)?.[1];
    const [, key, value] = /^([A-Za-z][\w.-]*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (stanza !== undefined) {
      if (stanzas.has(stanza)) throw new Error(`line ${index + 1}: [${stanza}] a second time`);
      current = new Map();
      stanzas.set(stanza, current);
    } else if (key === undefined || value === undefined || current === undefined)
      throw new Error(`line ${index + 1}: ${line}`);
    else if (current.has(key)) throw new Error(`line ${index + 1}: ${key} a second time`);
    else current.set(key, value);
  }
  return stanzas;
}

const props = parseConf(read('default/props.conf')).get('qasphere:audit') ?? new Map<string, string>();
const eventtypes = parseConf(read('default/eventtypes.conf'));
const tags = parseConf(read('default/tags.conf'));
const views = readdirSync(join(directory, 'default/data/ui/views')).map((name) =>
  read(`default/data/ui/views/${name}`),
);

/** What an event of the audit log has, and what Splunk gives every event. */
const ofEvents = ['id', 'user.id', 'user.name', 'user.email', 'action', 'ip', 'userAgent', 'createdAt'];
const ofSplunk = ['_time', 'host', 'source', 'sourcetype', 'index', 'eventtype'];
const made = [...props].flatMap(([key, value]) => {
  if (key.startsWith('EVAL-')) return [key.slice('EVAL-'.length)];
  return key.startsWith('FIELDALIAS-') ? [value.split(' AS ')[1] ?? ''] : [];
});

/** Names in an expression or search that are neither text, number, function nor word of the language. */
function namesIn(expression: string): string[] {
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"/g, ' ').replace(/\$[\w.]+\$/g, ' ');
  const quoted = [...bare.matchAll(/'([^']+)'/g)].map(([, name]) => name ?? '');
  const plain = [...bare.replace(/'[^']+'/g, ' ').matchAll(/[A-Za-z_][\w.]*(?!\w*\s*\()(?!\w)/g)].map(([name]) => name);
  const words =
    /^(AND|OR|NOT|AS|by|count|search|dedup|fields|timechart|stats|sort|convert|streamstats|where|table|limit|current|f|last|latest|dc|ctime|isnotnull|savedsearch)$/;
  const aliases = [...bare.matchAll(/ AS (\w+)/g)].map(([, name]) => name);
  return [...quoted, ...plain.filter((name) => !words.test(name))].filter((name) => !aliases.includes(name));
}

describe('the add-on for Splunk', () => {
  it.each([
    'default/app.conf',
    'default/props.conf',
    'default/eventtypes.conf',
    'default/tags.conf',
    'default/savedsearches.conf',
    'metadata/default.meta',
  ])('has a %s that parses', (path) => {
    expect(parseConf(read(path)).size).toBeGreaterThan(0);
  });

  it('is for the sourcetypes that the sink sends', () => {
    const { sourcetype } = splunkHecOptions.parse({ type: 'splunk-hec', url: 'https://splunk.test:8088', token: 't' });
    expect([...parseConf(read('default/props.conf')).keys()]).toEqual([sourcetype, 'qasphere:forwarder']);
    for (const [, settings] of eventtypes) expect(settings.get('search')).toContain(`sourcetype="${sourcetype}"`);
  });

  it('reads time, lines and JSON', () => {
    const line = '{"id":1,"user":null,"createdAt":"2026-03-01T10:00:00.123Z"}';
    const prefix = new RegExp(props.get('TIME_PREFIX') ?? 'none').exec(line);
    expect(line.slice((prefix?.index ?? 0) + (prefix?.[0].length ?? 0))).toMatch(/^2026-03-01T10:00:00\.123Z/);
    expect(Object.fromEntries(props)).toMatchObject({
      KV_MODE: 'json',
      SHOULD_LINEMERGE: 'false',
      TRUNCATE: '0',
      TIME_FORMAT: '%Y-%m-%dT%H:%M:%S.%3N%Z',
    });
    expect(`${line}\r\n${line}`.split(new RegExp(props.get('LINE_BREAKER') ?? 'none'))).toEqual([line, '\r\n', line]);
  });

  it('makes fields of fields that an event has', () => {
    for (const [key, value] of props) {
      if (key.startsWith('EVAL-'))
        for (const name of namesIn(value)) expect([...ofEvents, ...ofSplunk], key).toContain(name);
      if (key.startsWith('FIELDALIAS-')) expect(ofEvents).toContain(value.split(' AS ')[0]);
    }
  });

  it('searches fields that exist', () => {
    const searches = [...eventtypes].map(([, settings]) => settings.get('search') ?? '');
    for (const view of views)
      for (const [, query] of view.matchAll(/<query>([^<]*)<\/query>/g)) searches.push(query ?? '');
    expect(searches.length).toBeGreaterThan(8);
    for (const search of searches)
      for (const name of namesIn(search)) expect([...ofEvents, ...ofSplunk, ...made], search).toContain(name);
  });

  it('compares the members of a seal that exist with the indexed events', () => {
    const search = parseConf(read('default/savedsearches.conf'))
      .get('QA Sphere forwarder: seals against indexed events')
      ?.get('search');
    const [line = ''] = new ChainBuilder({ sink: 'splunk' }).seal([{ id: 1 }]).lines;
    const record = { forwarder: { event: 'forwarder.sealed', sink: 'splunk', seal: JSON.parse(line) as object } };
    const members = [...(search ?? '').matchAll(/forwarder(?:\.\w+)+(?=['"])/g)]
      .map(([path]) => path)
      .filter((path) => path !== 'forwarder.sealed');
    expect(members.length).toBeGreaterThan(5);
    for (const path of members) {
      const value = path.split('.').reduce<unknown>((part, name) => Reflect.get(Object(part), name), record);
      expect(value, path).toBeDefined();
    }
    for (const view of views)
      for (const [, name] of view.matchAll(/savedsearch "([^"]+)"/g))
        expect(parseConf(read('default/savedsearches.conf')).has(name ?? '')).toBe(true);
  });

  it('tags event types that exist with the tags of the CIM', () => {
    for (const [stanza, settings] of tags) {
      expect(eventtypes.has(stanza.replace(/^eventtype=/, ''))).toBe(true);
      for (const [tag, value] of settings)
        expect([['authentication', 'change', 'account'].includes(tag), value]).toEqual([true, 'enabled']);
    }
    for (const view of views)
      for (const [, name] of view.matchAll(/eventtype="(\w+)"/g)) expect(eventtypes.has(name ?? '')).toBe(true);
  });

  it('means by an action what the formats mean', () => {
    const cases = [...(props.get('EVAL-action') ?? '').matchAll(/match\(action, "((?:[^"\\]|\\.)*)"\), "(\w+)"/g)];
    const meant = (action: string) =>
      cases.find(([, pattern = '']) => new RegExp(pattern.replace(/^\(\?i\)/, ''), 'i').test(action))?.[2] ?? 'unknown';
    const known = createActions();
    const names = [
      ...actions.map(({ name }) => name),
      'user.create',
      'user.suspend',
      'session.read',
      'user.login.success',
      'user.sign_in_failed',
      'milestone.create',
      'test_case.clone',
      'tag.rename',
      'folder.move',
      'project.exported',
      'audit_log.exported',
      'integration.sync',
    ];
    for (const name of names) {
      const { action = 'unknown', model } = known.meaningOf(name).cim ?? {};
      expect({ name, action: meant(name) }).toEqual({ name, action });
      const isSignIn = (eventtypes.get('qasphere_authentication')?.get('search') ?? '')
        .match(/vendor_action="\*(\w+)\*"/g)
        ?.some((part) => name.includes(part.slice(16, -2)));
      expect({ name, isSignIn }).toEqual({ name, isSignIn: model === 'Authentication' });
    }
  });

  it('has a dashboard that is whole', () => {
    expect(views).toHaveLength(1);
    for (const view of views) {
      const open: string[] = [];
      for (const [, close, name = '', selfClosed] of view
        .replace(/"[^"]*"/g, '""')
        .matchAll(/<(\/?)([\w]+)(?:\s[^<>]*?)?(\/?)>/g)) {
        if (close === '/') expect(open.pop()).toBe(name);
        else if (selfClosed !== '/') open.push(name);
      }
      expect(open).toEqual([]);
      expect(view).not.toMatch(/&(?!(amp|lt|gt|quot|apos);)/);
      for (const title of ['Actions over time', 'Top users', 'Failed sign-ins', 'Address changes'])
        expect(view).toContain(`<title>${title}`);
    }
  });
});
