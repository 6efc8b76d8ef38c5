import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Location, Path } from './problem.ts';
import type { Environment } from './substitute.ts';
import type { Tree } from './yaml.ts';

type Binding = readonly [variable: string, path: Path];

const general: readonly Binding[] = [
  ['QASPHERE_URL', ['source', 'url']],
  ['QASPHERE_API_KEY', ['source', 'apiKey']],
  ['QASPHERE_API_KEY_FILE', ['source', 'apiKeyFile']],
  ['SCHEDULE', ['source', 'schedule']],
  ['START_AT', ['source', 'startAt']],
  ['SETTLE', ['source', 'settle']],
  ['TELEMETRY_LISTEN', ['telemetry', 'listen']],
];

/** Any one of a sink's variables brings the sink, so that a forgotten one is missed and not passed over. */
const sinks: readonly { name: string; type: string; variables: readonly (readonly [string, string])[] }[] = [
  {
    name: 'splunk',
    type: 'splunk-hec',
    variables: [
      ['SPLUNK_HEC_URL', 'url'],
      ['SPLUNK_HEC_TOKEN', 'token'],
      ['SPLUNK_HEC_TOKEN_FILE', 'tokenFile'],
      ['SPLUNK_HEC_INDEX', 'index'],
      ['SPLUNK_HEC_ALLOW_PLAIN_HTTP', 'allowPlainHttp'],
    ],
  },
  {
    name: 'syslog',
    type: 'syslog',
    variables: [
      ['SYSLOG_ADDRESS', 'address'],
      ['SYSLOG_FORMAT', 'format'],
    ],
  },
];

const words: readonly (readonly [string, string])[] = [
  ['apiKey or apiKeyFile', 'QASPHERE_API_KEY or QASPHERE_API_KEY_FILE'],
  ['token or tokenFile', 'SPLUNK_HEC_TOKEN or SPLUNK_HEC_TOKEN_FILE'],
  ['allowPlainHttp: true', 'SPLUNK_HEC_ALLOW_PLAIN_HTTP=true'],
];

/** The configuration as the environment alone gives it. An empty variable counts as unset. */
export function environmentTree(env: Environment): Tree {
  const isSet = ([variable]: readonly [string, ...unknown[]]) => (env[variable] ?? '') !== '';
  const chosen = sinks.filter(({ variables }) => variables.some(isSet));
  const bindings: readonly Binding[] = [
    ...general,
    ...chosen.flatMap(({ variables }, index) =>
      variables.map(([variable, key]): Binding => [variable, ['sinks', index, key]]),
    ),
  ];
  const entries = chosen.length > 0 ? chosen : [{ name: 'stdout', type: 'stdout' }];
  const value = { source: {}, telemetry: {}, sinks: entries.map(({ name, type }) => ({ name, type })) };
  for (const [variable, path] of bindings.filter(isSet))
    Reflect.set(Object(path.slice(0, -1).reduce<unknown>(child, value)), path.at(-1) ?? '', env[variable]);
  const variables = new Map(bindings.map(([variable, path]) => [JSON.stringify(path), variable]));
  return {
    value,
    locate: (path) => ({ variable: variables.get(JSON.stringify(path)) ?? 'environment' }),
    substituted: bindings.map(([, path]) => path),
    problems: [],
    unknown: [],
    reword: (message) => words.reduce((text, [key, variable]) => text.replace(key, variable), message),
  };
}

const child = (part: unknown, step: string | number) => Reflect.get(Object(part), step);

/** Lays over `tree` what the environment gives in either case: LOG_LEVEL, STATE_DIRECTORY and systemd credentials. */
export function withSurroundings(tree: Tree, env: Environment): Tree {
  const places = new Map<string, Location>();
  const root = tree.value;
  const set = (path: Path, text: string, variable: string) => {
    const around = path.slice(0, -1).reduce<unknown>(child, root);
    if (typeof around !== 'object' || around === null) return;
    Reflect.set(around, path.at(-1) ?? '', text);
    places.set(JSON.stringify(path), { variable });
  };
  const credential = (path: Path, key: string, name: string) => {
    const block = path.reduce<unknown>(child, root);
    const directory = env['CREDENTIALS_DIRECTORY'] ?? '';
    if (directory === '' || typeof block !== 'object' || block === null) return;
    if (Object.hasOwn(block, key) || Object.hasOwn(block, `${key}File`) || !existsSync(join(directory, name))) return;
    set([...path, `${key}File`], join(directory, name), `$CREDENTIALS_DIRECTORY/${name}`);
  };

  if (typeof root !== 'object' || root === null) return tree;
  const level = env['LOG_LEVEL'] ?? '';
  if (level !== '') {
    if (!Object.hasOwn(root, 'log')) Reflect.set(root, 'log', {});
    set(['log', 'level'], level.toLowerCase(), 'LOG_LEVEL');
  }
  const [directory = ''] = (env['STATE_DIRECTORY'] ?? '').split(':');
  if (directory !== '') {
    if (!Object.hasOwn(root, 'state')) Reflect.set(root, 'state', {});
    if (child(child(root, 'state'), 'directory') === undefined)
      set(['state', 'directory'], directory, 'STATE_DIRECTORY');
  }
  credential(['source'], 'apiKey', 'qasphere-api-key');
  const entries = child(root, 'sinks');
  for (const [index, entry] of Array.isArray(entries) ? entries.entries() : [])
    if (child(entry, 'type') === 'splunk-hec') credential(['sinks', index], 'token', 'splunk-hec-token');
  return { ...tree, locate: (path, part) => places.get(JSON.stringify(path)) ?? tree.locate(path, part) };
}
