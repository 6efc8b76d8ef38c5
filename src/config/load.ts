import { dirname, resolve } from 'node:path';
import { printable } from '../lib/printable.ts';
import { httpsProxyProblem, noProxyProblems } from '../lib/proxy.ts';
import { definitionOf } from '../sinks/registry.ts';
import { environmentTree, withEnvironment } from './environment.ts';
import { readText } from './file.ts';
import { formatProblem, type Problem, pathText } from './problem.ts';
import type { Config } from './schema.ts';
import type { Environment } from './substitute.ts';
import { validate } from './validate.ts';
import { warningsOf } from './warnings.ts';
import { readYaml, type Tree } from './yaml.ts';

/** Longest wait for one plug-in to load. */
const MAX_LOAD_MS = 30_000;

/** Read if no file is named. */
export const defaultFile = '/etc/qasphere-siem-forwarder/config.yaml';

export interface LoadOptions {
  /** The file that `--config` names. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** Reads the configuration file. @throws the file system's error */
  readonly readFile?: (path: string) => Buffer;
}

export type Loaded =
  | {
      readonly ok: true;
      readonly config: Config;
      /** Logged at each start. */
      readonly warnings: string[];
      /** The file it came from; absent if it came from the environment alone. */
      readonly path?: string;
    }
  | { readonly ok: false; readonly problems: Problem[] };

/**
 * Loads the configuration from `file`, else from `defaultFile` if it exists, else from the environment alone, or reports every
 * problem at once. Reads the secrets and the table of actions that it names. No problem or warning contains a secret.
 */
export function loadConfig(options: LoadOptions): Loaded {
  return read(options).loaded;
}

/** The same, and loads the plug-ins that it names: code of others, which may do whatever it wants to. */
export async function loadConfigWithPlugins(options: LoadOptions): Promise<Loaded> {
  const { loaded, tree } = read(options);
  if (!loaded.ok || tree === undefined) return loaded;
  const { config, path = '.' } = loaded;
  const context = {
    directory: dirname(resolve(path)),
    pluginDirectories: [config.plugins.directory].flat(),
    timeoutMs: MAX_LOAD_MS,
  };
  const problems: Problem[] = [];
  for (const [index, sink] of config.sinks.entries()) {
    const result = await definitionOf(sink).load?.(sink, context);
    if (Array.isArray(result))
      for (const { path: inEntry, message } of result) {
        const at = ['sinks', index, ...inEntry];
        problems.push({ ...tree.locate(at), path: pathText(at), message });
      }
    else if (result !== undefined) Object.assign(sink, { loaded: result });
  }
  return problems.length === 0 ? loaded : { ok: false, problems };
}

/** The configuration, and the tree that its problems are located in unless it can't be read at all. */
function read({ file, env, readFile }: LoadOptions): { readonly loaded: Loaded; readonly tree?: Tree } {
  const path = file ?? defaultFile;
  const text = readText(path, readFile);
  if (!text.ok && text.missing && file === undefined) return { loaded: fromEnvironment(env) };
  if (!text.ok) return { loaded: { ok: false, problems: [{ file: path, path: '', message: text.message }] } };
  const tree = withEnvironment(readYaml(text.text, path, env, ['startAt']), env);
  return { loaded: loaded(tree, env, path), tree };
}

/** Loads from the environment alone; if it configures nothing, the error names the expected configuration files. */
function fromEnvironment(env: Environment): Loaded {
  const result = loaded(withEnvironment(environmentTree(env), env), env, undefined);
  if (result.ok || (env['QASPHERE_URL'] ?? '') !== '') return result;
  const hint = `, and there is no configuration file: none is named with --config, and ${defaultFile} does not exist`;
  const problems = result.problems.map((problem) =>
    problem.variable === 'QASPHERE_URL' ? { ...problem, message: problem.message + hint } : problem,
  );
  return { ok: false, problems };
}

function loaded(tree: Tree, env: Environment, path: string | undefined): Loaded {
  const result = validate(tree);
  const proxy = httpsProxyProblem(env);
  const problems = [...(result.ok ? [] : result.problems), ...(proxy === undefined ? [] : [{ ...proxy, path: '' }])];
  if (!result.ok || problems.length > 0) return { ok: false, problems };
  const warnings = [
    ...bareReferenceWarnings(tree),
    ...noProxyProblems(env).map(({ variable, message }) => printable(`${variable}: ${message}`)),
    ...warningsOf(result.config, path),
  ];
  return { ok: true, config: result.config, warnings, ...(path !== undefined && { path }) };
}

/** One warning, however many there are. The values are not shown: a password may contain a `$`. */
function bareReferenceWarnings({ bareReferences = [], locate }: Tree): string[] {
  const [first, ...more] = bareReferences;
  if (first === undefined) return [];
  const others = more.length === 0 ? '' : `, as do ${more.map(pathText).join(', ')}`;
  const message =
    locate(first).variable === undefined ? 'to use a variable, write ${NAME}' : 'variables are not replaced here';
  return [
    formatProblem({
      ...locate(first),
      path: pathText(first),
      message: `contains a $ that is taken literally${others}: ${message}`,
    }),
  ];
}
