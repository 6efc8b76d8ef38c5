import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

export const key = { QASPHERE_API_KEY: 'a-key', SPLUNK_HEC_TOKEN: 'a-token' };

/** Loads `text` as the content of `c.yaml`. */
export const load = (text: string | Buffer, env: Record<string, string | undefined> = key): Loaded =>
  loadConfig({ file: 'c.yaml', env, readFile: () => Buffer.from(text) });

/** Loads from the environment alone. */
export const loadEnvironment = (env: Record<string, string | undefined>): Loaded =>
  loadConfig({
    env,
    readFile: () => {
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
  });

/** The problems as they are printed; empty if the file is valid. */
export const problemsOf = (loaded: Loaded): string[] => (loaded.ok ? [] : loaded.problems.map(formatProblem));

/** The configuration. @throws what is wrong with it */
export function configOf(loaded: Loaded) {
  if (!loaded.ok) throw new Error(problemsOf(loaded).join('\n'));
  return loaded.config;
}

const source = 'source:\n  url: https://acme.eu1.qasphere.com\n  apiKey: ${QASPHERE_API_KEY}\n';
const sinks = 'sinks:\n  - type: stdout\n';

/** A valid file but for the lines given: indented by two they belong to `source`. */
export const withSource = (...lines: string[]) => `${source}${lines.map((line) => `  ${line}\n`).join('')}${sinks}`;

/** A valid file with these lines as its only sink, which begins at line 5, column 5. */
export const withSink = (...lines: string[]) => withSinks(lines);

/** A valid file with these sinks, each by its lines. */
export const withSinks = (...sinks: (readonly string[])[]) =>
  `${source}sinks:\n${sinks.map((lines) => `  - ${lines.join('\n    ')}\n`).join('')}`;

/** A valid file with these lines at its end. */
export const withRoot = (...lines: string[]) => `${source}${sinks}${lines.map((line) => `${line}\n`).join('')}`;
