import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Program, startProgram } from './program.ts';

export const key = 'SIEM-LOG-ONLY-demo';

export interface Ran {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory with a configuration and a state directory, and the program run with them. */
export interface Workspace extends Disposable {
  readonly directory: string;
  readonly state: string;
  /** Writes the configuration: the source's URL, each sink as a YAML flow map, and further keys of the source block. */
  configure(source: string, sinks: readonly string[], more?: string): void;
  start(...args: string[]): Program;
  run(...args: string[]): Promise<Ran>;
  /** The objects in `operations.ndjson` that record an operator's action. */
  operations(): Record<string, unknown>[];
  /** The objects in an NDJSON file of the state directory; empty if the file is missing. */
  lines(name: string): Record<string, unknown>[];
}

export function newWorkspace(): Workspace {
  const directory = mkdtempSync(join(tmpdir(), 'workspace-'));
  const config = join(directory, 'config.yaml');
  const state = join(directory, 'state');
  const lines = (name: string) => {
    const path = join(state, name);
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const start = (...args: string[]) => startProgram([...args, '-c', config]);
  return {
    directory,
    state,
    configure(source, sinks, more = '') {
      const pace = more.includes('requestsPerSecond') ? '' : 'requestsPerSecond: 20, ';
      const list = sinks.map((sink) => `  - ${sink}\n`).join('');
      writeFileSync(
        config,
        `source: { url: "${source}", apiKey: ${key}, ${pace}schedule: "* * * * * *" ${more} }\nstate: { directory: "${state}" }\nsinks:\n${list}`,
      );
      chmodSync(config, 0o600);
    },
    start,
    async run(...args) {
      const program = start(...args);
      const code = await program.ended;
      return { code, stdout: program.stdout(), stderr: program.stderr() };
    },
    operations: () => lines('operations.ndjson').filter((entry) => 'operation' in entry),
    lines,
    [Symbol.dispose]() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
