import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema, configShape, type Shape } from '../../src/config/json-schema.ts';
import { configOf, load, withRoot, withSink, withSource } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';
import { testPair } from '../support/test-pair.ts';

const read = (name: string) => readFileSync(join('config', name), 'utf8');
/** The files for other programs; everything else in the folder is a configuration of ours. */
const foreign = ['actions.yaml', 'compose.splunk.yaml', 'kubernetes.yaml'];
const examples = readdirSync('config').filter((name) => name.endsWith('.yaml') && !foreign.includes(name));
const env = {
  QASPHERE_API_KEY: 'k',
  SPLUNK_HEC_TOKEN: 't',
  PROXY_USER: 'u',
  PROXY_PASSWORD: 'p',
  INGEST_KEY: 'i',
  HMAC_KEY: 'h',
  ES_API_KEY: 'e',
  OTLP_TOKEN: 'o',
  AZURE_CLIENT_SECRET: 'a',
  MAINFRAME_TOKEN: 'm',
  AWS_ACCESS_KEY_ID: 'A',
  AWS_SECRET_ACCESS_KEY: 'B',
};
const matches = new Ajv2020({ strict: true, strictTypes: false, allErrors: true }).compile(configJsonSchema());

const { file } = scratch();

/** The same with every file that it names put into a directory of ours. */
function withFiles(text: string): string {
  return text.replaceAll(/\/etc\/qasphere-siem-forwarder\/[\w.-]+/g, (path) =>
    file(basename(path), /\.pem$|^client\.key$/.test(basename(path)) ? testPair : 'content'),
  );
}

describe.each(examples)('the example %s', (name) => {
  it('is a valid configuration', () => {
    expect(configOf(load(withFiles(read(name)), env)).sinks.length).toBeGreaterThan(0);
  });

  it('matches the JSON Schema, which its first line names', () => {
    expect(read(name).split('\n')[0]).toBe('# yaml-language-server: $schema=./config.schema.json');
    matches(parse(read(name)));
    expect(matches.errors).toBeNull();
  });
});

describe('the examples together', () => {
  it('contain every key, set or commented out', () => {
    const texts = examples.map(read).join('\n');
    const keysOf = ({ properties = {}, items, oneOf = [] }: Shape): string[] => [
      ...Object.keys(properties),
      ...[...Object.values(properties), ...(items ? [items] : []), ...oneOf].flatMap(keysOf),
    ];
    const missing = [...new Set(keysOf(configShape()))].filter(
      (key) => !new RegExp(`(^ *(- |# )?|[{,] )${key}:`, 'm').test(texts),
    );
    expect(missing).toEqual([]);
  });
});

describe('the full example', () => {
  it('is valid with the commented-out alternatives too', () => {
    const files = read('full.example.yaml')
      .replace(/^ +apiKey: .*\n/m, '')
      .replace(/^ +token: .*\n/m, '')
      .replaceAll(/# ((apiKeyFile|tokenFile|certFile|keyFile|servername): )(?!.*seal\.key)/g, '$1');
    const config = configOf(load(withFiles(files), env));
    expect(config.source.apiKey.current.reveal()).toBe('content');
  });

  it('shows the defaults unless it says otherwise', () => {
    const full = configOf(load(withFiles(read('full.example.yaml')), env));
    const { tls, proxy, apiKey, ...source } = full.source;
    expect(configOf(load(withRoot())).source).toMatchObject(source);
    expect(configOf(load(withRoot()))).toMatchObject({ log: full.log, shutdownTimeout: full.shutdownTimeout });
    const hec = (text: string, variables?: Record<string, string>) => {
      const sink = configOf(load(text, variables)).sinks.find(({ type }) => type === 'splunk-hec');
      return sink?.type === 'splunk-hec' ? sink : undefined;
    };
    const {
      name,
      url,
      token: _,
      index,
      host,
      fields,
      filter,
      redact,
      heartbeat: ___,
      tls: __,
      ...preset
    } = hec(withFiles(read('full.example.yaml')), env) ?? {};
    expect(hec(withSink('type: splunk-hec', 'url: https://a', 'token: t'))).toMatchObject(preset);
  });
});

describe('the JSON Schema', () => {
  it('is committed as generated: run npm run schema', () => {
    expect(readFileSync('config/config.schema.json', 'utf8')).toBe(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });

  it.each([
    withSource('pageSize: ${N}', 'timeout: ${T:-5s}', 'authScheme: ${A}', 'startAt: 5'),
    withSink('type: splunk-hec', 'url: https://a', 'token: t', 'acknowledgement: ${A}', 'batch: { maxBytes: 5000 }'),
  ])('takes what the program takes', (text) => {
    matches(parse(text));
    expect(matches.errors).toBeNull();
  });

  it.each([
    withSource('pagesize: 5'),
    withSource('pageSize: 0'),
    withSource('pageSize: ${N'),
    withSource('authScheme: bearer'),
    withSink('type: carrier-pigeon'),
    withSink('type: stdout', 'token: t'),
    withSink('type: syslog'),
    withRoot('log: { level: loud }'),
    withRoot('x: 1'),
  ])('refuses what the program refuses', (text) => {
    expect(matches(parse(text))).toBe(false);
    expect(load(text).ok).toBe(false);
  });

  it('describes every key', () => {
    const bare = (shape: Shape, path: string): string[] => [
      ...Object.entries(shape.properties ?? {}).flatMap(([key, below]) => [
        ...(below.description === undefined && below.const === undefined ? [`${path}.${key}`] : []),
        ...bare(below, `${path}.${key}`),
      ]),
      ...[...(shape.items ? [shape.items] : []), ...(shape.oneOf ?? [])].flatMap((below) => bare(below, path)),
    ];
    expect(bare(configShape(), '')).toEqual([]);
  });
});
