import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hecToken } from '../fixtures/collectors.ts';
import { type Row, Tally } from './table.ts';
import { key } from './workspace.ts';

const canaries = [key, hecToken].flatMap((secret) => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('hex'),
]);

/** Searches everything that the runs wrote for the canary secrets: logs at level trace, state, traces, standard output. */
export class Secrets {
  #files = 0;
  #bytes = 0;
  readonly #found = new Set<string>();

  /** Searches all files under `directory` except the configuration, which contains the secrets legitimately. */
  readonly search = (directory: string): void => {
    for (const name of globSync('**/*', { cwd: directory })) {
      const path = join(directory, name);
      if (name === 'config.yaml' || !statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
      const bytes = readFileSync(path);
      this.#files++;
      this.#bytes += bytes.length;
      if (canaries.some((canary) => bytes.includes(canary)))
        this.#found.add(`a secret is in ${name.replace(/^.*\//, '')}`);
    }
  };

  row(): Row {
    const tally = new Tally(
      `secrets: ${this.#files} files, ${Math.round(this.#bytes / 1024)} KiB that all these runs left, logged at trace`,
    );
    tally.run();
    for (const found of this.#found) tally.violation(found);
    return tally.row();
  }
}
