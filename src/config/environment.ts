import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sinkDefinitions } from '../sinks/registry.ts';
import type { Location, Path } from './problem.ts';
import { type Environment, hasBareReference } from './substitute.ts';
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

/** The sinks that variables can add. */
const mappings = sinkDefinitions.flatMap(({ type, environment }) =>
  environment === undefined ? [] : [{ type, ...environment, variables: Object.entries(environment.variables) }],
);

/** The configuration from environment variables alone. An empty variable counts as unset. */
export function environmentTree(env: Environment): Tree {
  const isSet = ([variable]: readonly [string, ...unknown[]]) => (env[variable] ?? '') !== '';
  const used = mappings.filter(({ variables }) => variables.some(isSet));
  const entries = used.length > 0 ? used : mappings.filter(({ fallback }) => fallback === true);
  const bindings: readonly Binding[] = [
    ...general,
    ...entries.flatMap(({ variables }, index) =>
      variables.map(([variable, key]): Binding => [variable, ['sinks', index, key]]),
    ),
  ];
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
    // Nothing is replaced here: systemd's EnvironmentFile and container platforms pass a reference on as it is.
    bareReferences: bindings.filter(isSet).flatMap(([variable, path]) => {
      const text = env[variable] ?? '';
      return /^\$\{.*\}$/.test(text) || hasBareReference(text, env) ? [path] : [];
    }),
    reword: (message) => bindings.reduce((text, binding) => withVariable(text, binding, bindings), message),
  };
}

/** A message that names keys, in terms of the variables: `token or tokenFile`, `allowPlainHttp: true`. */
function withVariable(message: string, [variable, path]: Binding, bindings: readonly Binding[]): string {
  const key = String(path.at(-1));
  const file = bindings.find(([, other]) => other.at(-1) === `${key}File` && other.length === path.length)?.[0];
  const reworded = message.replace(`${key}: true`, `${variable}=true`);
  return file === undefined ? reworded : reworded.replace(`${key} or ${key}File`, `${variable} or ${file}`);
}

const child = (part: unknown, step: string | number) => Reflect.get(Object(part), step);

/** Adds to `tree` what the environment sets in any case: LOG_LEVEL, STATE_DIRECTORY and systemd credentials. */
export function withEnvironment(tree: Tree, env: Environment): Tree {
  const places = new Map<string, Location>();
  const root = tree.value;
  const set = (path: Path, text: string, variable: string) => {
    const block = path.slice(0, -1).reduce<unknown>(child, root);
    if (typeof block !== 'object' || block === null) return;
    Reflect.set(block, path.at(-1) ?? '', text);
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
  for (const [index, entry] of Array.isArray(entries) ? entries.entries() : []) {
    const own = mappings.find(({ type }) => type === child(entry, 'type'))?.credential;
    if (own !== undefined) credential(['sinks', index], own.key, own.name);
  }
  return { ...tree, locate: (path, part) => places.get(JSON.stringify(path)) ?? tree.locate(path, part) };
}
