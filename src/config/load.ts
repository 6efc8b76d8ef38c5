import { readFileSync, statSync } from 'node:fs';
import { environmentTree, withSurroundings } from './environment.ts';
import type { Problem } from './problem.ts';
import type { Config } from './schema.ts';
import type { Environment } from './substitute.ts';
import { type Validated, validate } from './validate.ts';
import { warningsOf } from './warnings.ts';
import { readYaml } from './yaml.ts';

/** Read where no file is named, if it is there. */
export const defaultFile = '/etc/qasphere-siem-forwarder/config.yaml';

const largestBytes = 1024 ** 2;

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
 * problem at once. Reads the secrets it names. No problem or warning holds a secret.
 */
export function loadConfig({ file, env, readFile = bounded }: LoadOptions): Loaded {
  const path = file ?? defaultFile;
  let bytes: Buffer;
  try {
    bytes = readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    if (file === undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return loaded(fromEnvironment(env), undefined);
    return wholly(path, explanations[code] ?? `can't be read (${code})`);
  }
  if (bytes.length > largestBytes) return wholly(path, explanations['ERR_FS_FILE_TOO_LARGE'] ?? '');
  const text = decode(bytes);
  if (text === undefined) return wholly(path, 'is no UTF-8 text');
  return loaded(validate(withSurroundings(readYaml(text, path, env, ['startAt']), env)), path);
}

const explanations: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'is not readable for this user',
  EISDIR: 'is a directory',
  ERR_FS_FILE_TOO_LARGE: 'is larger than 1 MiB',
};

const wholly = (file: string, message: string): Loaded => ({ ok: false, problems: [{ file, path: '', message }] });

function bounded(path: string): Buffer {
  if (statSync(path).size > largestBytes)
    throw Object.assign(new Error('the file is too large'), { code: 'ERR_FS_FILE_TOO_LARGE' });
  return readFileSync(path);
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
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
