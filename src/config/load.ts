import { environmentTree, withSurroundings } from './environment.ts';
import { readText } from './file.ts';
import type { Problem } from './problem.ts';
import type { Config } from './schema.ts';
import type { Environment } from './substitute.ts';
import { type Validated, validate } from './validate.ts';
import { warningsOf } from './warnings.ts';
import { readYaml } from './yaml.ts';

/** Read where no file is named, if it is there. */
export const defaultFile = '/etc/qasphere-siem-forwarder/config.yaml';

export interface LoadOptions {
  /** What `--config` names. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** Reads the configuration file. @throws the file system's error */
  readonly readFile?: (path: string) => Buffer;
}

export type Loaded =
  | {
      readonly ok: true;
      readonly config: Config;
      /** To be said at each start. */
      readonly warnings: string[];
      /** The file it came from; absent where the environment alone gave it. */
      readonly path?: string;
    }
  | { readonly ok: false; readonly problems: Problem[] };

/**
 * The configuration: from `file`, else from `defaultFile` where that exists, else from the environment alone; or every
 * problem at once. Reads the secrets and the table of actions it names. No problem or warning holds a secret.
 */
export function loadConfig({ file, env, readFile }: LoadOptions): Loaded {
  const path = file ?? defaultFile;
  const read = readText(path, readFile);
  if (!read.ok && read.missing && file === undefined) return loaded(fromEnvironment(env), undefined);
  if (!read.ok) return { ok: false, problems: [{ file: path, path: '', message: read.message }] };
  return loaded(validate(withSurroundings(readYaml(read.text, path, env, ['startAt']), env)), path);
}

function fromEnvironment(env: Environment): Validated {
  const result = validate(withSurroundings(environmentTree(env), env));
  if (result.ok || (env['QASPHERE_URL'] ?? '') !== '') return result;
  const hint = `, and no configuration file is named with --config or stands at ${defaultFile}`;
  const problems = result.problems.map((problem) =>
    problem.variable === 'QASPHERE_URL' ? { ...problem, message: problem.message + hint } : problem,
  );
  return { ok: false, problems };
}

function loaded(result: Validated, path: string | undefined): Loaded {
  if (!result.ok) return result;
  const warnings = warningsOf(result.config, path);
  return { ok: true, config: result.config, warnings, ...(path !== undefined && { path }) };
}
